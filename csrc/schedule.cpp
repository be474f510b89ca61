#include "schedule.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace throughtime {

Schedule::Schedule(Index T, Index B_, const int64_t* lengths, Arena& arena) : B(B_) {
    Index* order = arena.get<Index>(B);
    Index* sorted = arena.get<Index>(B);
    std::iota(order, order + B, Index{0});
    if (lengths != nullptr) {
        for (Index b = 0; b < B; ++b) {
            if (lengths[b] < 0 || lengths[b] > T) {
                throw std::invalid_argument("lengths: expected values from 0 to " + std::to_string(T) + ", got " +
                                            std::to_string(lengths[b]) + " at index " + std::to_string(b) +
                                            "; a length counts the valid steps of its row");
            }
        }
        std::stable_sort(order, order + B, [&](Index a, Index b) { return lengths[a] > lengths[b]; });
    }
    for (Index p = 0; p < B; ++p) {
        sorted[p] = lengths != nullptr ? static_cast<Index>(lengths[order[p]]) : T;
        valid += sorted[p];
    }
    steps = B > 0 ? sorted[0] : 0;
    ragged = valid < T * B;
    Index* alive = arena.get<Index>(steps);
    for (Index s = 0, n = B; s < steps; ++s) {
        while (sorted[n - 1] <= s) --n;
        alive[s] = n;
    }
    row = order;
    length = sorted;
    active = alive;
}

Division::Division(const Schedule& schedule, Index unit_vectors, Index unit_group, int members_, Arena& arena)
    : members(members_), share(arena.get<Share>(members_)) {
    // Dealing the sorted rows out to and fro gives every member long and short ones; whole batches stay in runs.
    const Index B = schedule.B;
    // A few rows leave the multiply units idle when halved, and every member would read all the weights: below this
    // many rows a member, dividing the units is faster where there are enough of them.
    constexpr Index few_rows = 6;
    by_units = members > 1 && B < few_rows * members && unit_vectors >= 2 * unit_group * members;
    if (by_units) {
        Index* all = arena.get<Index>(B);
        std::iota(all, all + B, Index{0});
        const Index groups = (unit_vectors + unit_group - 1) / unit_group;
        for (int m = 0; m < members; ++m) {
            share[m] = {all, B, std::min(unit_vectors, groups * m / members * unit_group),
                        std::min(unit_vectors, groups * (m + 1) / members * unit_group)};
        }
        return;
    }
    for (int m = 0; m < members; ++m) {
        Index* mine = arena.get<Index>(B);
        Index count = 0;
        if (schedule.ragged) {
            for (Index p = 0; p < B; ++p) {
                const Index turn = p % (2 * members);
                if ((turn < members ? turn : 2 * members - 1 - turn) == m) mine[count++] = p;
            }
        } else {
            for (Index p = B * m / members; p < B * (m + 1) / members; ++p) mine[count++] = p;
        }
        share[m] = {mine, count, 0, unit_vectors};
    }
}

int useful_threads(int wanted, double multiply_adds, const Schedule& schedule, Index unit_vectors) {
    // Waking a team costs a few microseconds, which is about this many multiply-adds of one core.
    constexpr double worth_a_team = 2e5;
    if (multiply_adds < worth_a_team) return 1;
    const Index parts = std::min(std::max(schedule.B, unit_vectors), most_threads);
    return static_cast<int>(std::max<Index>(1, std::min<Index>(wanted, parts)));
}

}  // namespace throughtime

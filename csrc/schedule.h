// Which rows run at which step, and who computes what. The same for forward and backward, decided from the lengths.
#pragma once

#include "arena.h"
#include "calls.h"

namespace throughtime {

// Rows sorted by length, longest first (stable), so that the rows alive at a step are the first active[step] positions.
struct Schedule {
    Index steps = 0;  // the longest length
    Index B = 0;
    const Index* row = nullptr;     // row: [B] batch row at a position
    const Index* length = nullptr;  // length: [B] valid steps of that row
    const Index* active = nullptr;  // active: [steps] positions alive at a step
    Index valid = 0;                // sum of the lengths
    bool ragged = false;            // some length is shorter than T

    // Throws std::invalid_argument naming the first length outside 0..T.
    Schedule(Index T, Index B, const int64_t* lengths, Arena& arena);
};

// One team member's part of a sequence: some positions and some unit vectors (blocks of one vector register's units).
struct Share {
    const Index* positions = nullptr;  // positions: [count] ascending, so that longer rows come first
    Index count = 0;
    Index v0 = 0, v1 = 0;  // unit vectors v0 <= v < v1
};

// How a team divides a sequence: by rows, where nobody waits for anybody between steps, or by units, where all meet
// after every step. Which of the two changes no result.
struct Division {
    bool by_units = false;
    int members = 1;
    Share* share = nullptr;  // share: [members]

    Division(const Schedule& schedule, Index unit_vectors, Index unit_group, int members, Arena& arena);
};

// More members than a processor has cores only cost; the pool counts them in 16 bits.
inline constexpr Index most_threads = 1024;

// Members worth having for `multiply_adds` of work over `steps` steps.
int useful_threads(int wanted, double multiply_adds, const Schedule& schedule, Index unit_vectors);

}  // namespace throughtime

// The gates of every step in the caller's order of rows and times, from what a forward pass saved.
#pragma once

#include "arena.h"
#include "norm.h"
#include "pool.h"
#include "products.h"
#include "rows.h"

namespace throughtime::THROUGHTIME_ISA {

// The cell whose slots are the gates: a normalised cell saves what they are made of.
template <class Cell>
struct Gated {
    using type = Cell;
};
template <class Plain>
struct Gated<Normalized<Plain>> {
    using type = Plain;
};

template <class Cell, class T>
class SavedGates {
public:
    static void run(const GatesCall<T>& call) {
        Arena arena;
        const Schedule schedule(call.T_, call.B, call.lengths, arena);
        const double work = double(schedule.valid) * double(call.H) * 16 * slots;
        Lease lease(useful_threads(call.threads, work, schedule, vectors<T>(call.H)), call.threads);
        SavedGates run(call, schedule, arena);
        const auto body = [](void* self, int member, Team& team) {
            static_cast<const SavedGates*>(self)->work(member, team.size());
        };
        if (lease.run(body, &run)) return;
        Lease alone(1, 1);
        static_cast<void>(alone.run(body, &run));
    }

private:
    using R = Real<T>;
    using Plain = typename Gated<Cell>::type;
    static constexpr Index W = lanes<T>;
    static constexpr Index saved_slots = slot_count<Cell>, slots = slot_count<Plain>;

    const GatesCall<T>& call_;
    const Schedule& schedule_;
    const Rows<T> rows_;
    const Index V_;
    R* norm_ = nullptr;  // norm: [vectors,norm_count,lane]

    SavedGates(const GatesCall<T>& call, const Schedule& schedule, Arena& arena)
        : call_(call), schedule_(schedule), rows_{call, schedule}, V_(vectors<T>(call.H)) {
        if constexpr (Cell::normalizes) {
            norm_ = arena.get<R>(V_ * W * Cell::norm_count);
            for (Index v = 0; v < V_; ++v) pack_norm<Cell>(call, v, norm_ + v * Cell::norm_count * W);
        }
    }

    void work(int m, int members) const {
        const Index plane = call_.T_ * call_.B * call_.H;
        for (Index t = call_.T_ * m / members; t < call_.T_ * (m + 1) / members; ++t) {
            for (Index p = 0; p < call_.B; ++p) {
                T* to = call_.gates + (t * call_.B + schedule_.row[p]) * call_.H;
                const bool valid = t < schedule_.length[p];
                const Index step = valid ? rows_.time(t, p) : 0;  // its own inverse
                for (Index v = 0; v < V_; ++v) {
                    Vec<T> a[slots] = {};
                    if (valid) read(step, p, v, a);
#pragma GCC unroll 4
                    for (Index s = 0; s < slots; ++s) store_first(to + s * plane + v * W, a[s], call_.H - v * W);
                }
            }
        }
    }

    THROUGHTIME_INLINE void read(Index step, Index p, Index v, Vec<T>* a) const {
        if constexpr (Cell::normalizes) {
            const R* row = call_.saved + (step * call_.B + p) * saved_row<Cell, T>(V_);
            const auto unit = Vectors<R, saved_slots>::from(row + v * saved_slots * W);
            Cell::template join<R>(unit.v, norm_ + v * Cell::norm_count * W, a);
            // As the forward pass made them; the state that comes with them is not used.
            Vec<T> h_prev = {}, c = {}, h;
            Plain::template forward<R>(a, h_prev, c, h, nullptr);
        } else {
            const R* row = call_.saved + ((step * V_ + v) * call_.B + p) * slots * W;
            const auto saved = Vectors<R, slots>::from(row);
            for (Index s = 0; s < slots; ++s) a[s] = saved.v[s];
        }
    }
};

}  // namespace throughtime::THROUGHTIME_ISA

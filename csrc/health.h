// Diagnostics of a backward pass: gradient norms a step, saturated gates, and where the first NaN or infinity stands.
#pragma once

#include "cells.h"
#include "schedule.h"

namespace throughtime::THROUGHTIME_ISA {

THROUGHTIME_INLINE bool wants_health(const Health& health) {
    return health.dh_square != nullptr || health.dc_square != nullptr || health.saturated != nullptr ||
           health.first_bad != nullptr;
}

// Writes the entries of single (time, row) pairs; rows belong to one team member each.
template <class Cell, class T>
struct HealthNotes {
    const Health& health;
    Index T_, B, H;

    // Entries of a row before its first pair: nothing seen; past its length they stay so.
    void clear(Index b) const {
        for (Index t = 0; t < T_; ++t) {
            if (health.dh_square != nullptr) health.dh_square[t * B + b] = 0.0;
            if (health.dc_square != nullptr) health.dc_square[t * B + b] = 0.0;
            for (Index g = 0; health.saturated != nullptr && g < Cell::gates; ++g) {
                health.saturated[(g * T_ + t) * B + b] = 0;
            }
        }
        for (int i = 0; health.first_bad != nullptr && i < 3; ++i) {
            health.first_bad[b * 3 + i] = health.first_bad[(B + b) * 3 + i] = -1;
        }
    }

    // One unit vector of a pair; `used` lanes count.
    void values(Index t, Index b, Index v, Index used, const Vec<T>* a, Vec<T> c, const StepGradient<T>& d) const {
        if (health.dh_square != nullptr) health.dh_square[t * B + b] += square(d.dh, used);
        if (Cell::has_cell && health.dc_square != nullptr) health.dc_square[t * B + b] += square(d.dc_whole, used);
        for (int s = 0; s < slot_count<Cell>; ++s) {
            const Slot slot = Cell::slots[s];
            if (slot.ih < 0) continue;
            for (Index lane = 0; lane < used; ++lane) {
                if (health.saturated != nullptr && saturated(slot.range, double(a[s][lane]))) {
                    ++health.saturated[(slot.ih * T_ + t) * B + b];
                }
                if (is_bad(a[s][lane])) note_activation(slot.ih, t, b, v * lanes<T> + lane);
            }
        }
        for (Index lane = 0; Cell::has_cell && lane < used; ++lane) {
            if (is_bad(c[lane])) note_activation(Cell::gates, t, b, v * lanes<T> + lane);
        }
    }

    // The gate gradients of a pair, unit vector v's at da + v * stride.
    template <class F>
    void gradients(Index t, Index b, Index V, const F* da, Index stride) const {
        for (Index v = 0; health.first_bad != nullptr && v < V; ++v) {
            const Index left = H - v * lanes<T>;
            gradients_of_vector(t, b, v, left < lanes<T> ? left : lanes<T>, da + v * stride);
        }
    }

private:
    template <class F>
    void gradients_of_vector(Index t, Index b, Index v, Index used, const F* da) const {
        for (int s = 0; s < slot_count<Cell>; ++s) {
            const int gate = Cell::slots[s].ih;
            for (Index lane = 0; gate >= 0 && lane < used; ++lane) {
                int64_t* first = health.first_bad + (B + b) * 3;
                if (!is_bad(real(da[s * lanes<T> + lane]))) continue;
                // What stands there from another time came first; within one step the first gate stands.
                if (first[1] < 0 || (first[1] == t && gate < first[0])) set(first, gate, t, v * lanes<T> + lane);
            }
        }
    }

    static double square(Vec<T> x, Index used) {
        double sum = 0;
        for (Index lane = 0; lane < used; ++lane) sum += double(x[lane]) * double(x[lane]);
        return sum;
    }

    static bool is_bad(T x) { return !(x - x == T{0}); }

    bool saturated(Range range, double x) const {
        switch (range) {
            case Range::zero_to_one: return x < health.margin || x > 1 - health.margin;
            case Range::both_signs: return x < health.margin - 1 || x > 1 - health.margin;
            default: return x <= 0;
        }
    }

    void note_activation(int gate, Index t, Index b, Index unit) const {
        if (health.first_bad == nullptr) return;
        int64_t* first = health.first_bad + b * 3;
        // Steps come last to first, so a pair of an earlier step overwrites; within one step the first gate stands.
        if (first[1] != t || gate < first[0]) set(first, gate, t, unit);
    }

    static void set(int64_t* first, int gate, Index t, Index unit) {
        first[0] = gate;
        first[1] = t;
        first[2] = unit;
    }
};

}  // namespace throughtime::THROUGHTIME_ISA

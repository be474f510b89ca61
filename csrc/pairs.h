// The (time, row) pairs of a backward pass: where each reads and writes.
#pragma once

#include "norm.h"
#include "products.h"
#include "rows.h"
#include "zoneout.h"

namespace throughtime::THROUGHTIME_ISA {

// What one (step, row) pair reads and writes; null pointers stand for zeros, or for "not wanted".
template <class T>
struct Pair {
    using R = Real<T>;
    const T *x, *h_prev, *c_prev, *h, *c, *dy, *dc_seq;
    const Saved<T>* saved;
    T* dx;
    Index position, time, state;  // state: offset of the row in dh_ and dc_
    bool border;
    const R* mask;
    Zone<R> zone_h, zone_c;
};

// A vector of a row, zeros where there is no row.
template <class T>
THROUGHTIME_INLINE Vec<T> load_or_zero(const T* p, Index v, Index left) {
    return p != nullptr ? load_first(p + v * lanes<T>, left) : Vec<T>{};
}

// The cell's own new c of a pair: under zoneout it is not what was carried on.
template <class Cell, class T>
THROUGHTIME_INLINE Vec<T> new_c_of(const Pair<T>& pair, Index v, Index B, Index left, Vec<T> c_prev, bool zoned) {
    if (!zoned) return load_first(pair.c + v * lanes<T>, left);
    constexpr int slots = slot_count<Cell>;
    return Cell::template new_c<Real<T>>(Vectors<Real<T>, slots>::from(pair.saved + v * B * slots * lanes<T>).v,
                                         c_prev);
}

template <class Cell, class T>
struct Pairs {
    const BackwardCall<T>& call;
    const Schedule& schedule;
    const Rows<T>& rows;
    const Zones<T>& zones;
    Index H, V;  // hidden units and their vectors
    static constexpr Index W = lanes<T>, slots = slot_count<Cell>;

    // Written field by field: a struct built on the stack and copied by the vector would wait for its own stores.
    void list(Index s, Index p, Pair<T>& it) const {
        const Index b = schedule.row[p], t = rows.time(s, p), B = call.B;
        const bool border = rows.border(s, p), first = s == 0;
        const Index t_prev = first ? 0 : rows.time(s - 1, p);
        it.position = p;
        it.time = t;
        it.state = p * V * W;
        it.border = border;
        it.x = call.x + t * call.x_t + b * call.x_b;
        it.h = call.y + t * call.y_t + b * call.y_b;
        const T* const h_start = call.h0 != nullptr ? call.h0 + b * H : nullptr;
        it.h_prev = border ? nullptr : first ? h_start : call.y + t_prev * call.y_t + b * call.y_b;
        if constexpr (Cell::has_cell) {
            const T* const c_start = call.c0 != nullptr ? call.c0 + b * H : nullptr;
            it.c = call.c_seq + (t * B + b) * H;
            it.c_prev = border ? nullptr : first ? c_start : call.c_seq + (t_prev * B + b) * H;
        } else {
            it.c = it.c_prev = nullptr;
        }
        it.dy = call.dy != nullptr ? call.dy + t * call.dy_t + b * call.dy_b : nullptr;
        it.dc_seq = call.dc_seq != nullptr ? call.dc_seq + (t * B + b) * H : nullptr;
        if constexpr (Cell::normalizes) {
            it.saved = call.saved + (s * B + p) * saved_row<Cell, T>(V);
        } else {
            it.saved = Cell::saves || zones.on() ? call.saved + (s * V * B + p) * slots * W : nullptr;
        }
        it.dx = call.dx != nullptr ? call.dx + t * call.dx_t + b * call.dx_b : nullptr;
        it.mask = call.h_mask != nullptr ? call.h_mask + b * H : nullptr;
        if (zones.on()) {
            it.zone_h = zones.of_h(b, t);
            it.zone_c = zones.of_c(b, t);
        }
    }
};

}  // namespace throughtime::THROUGHTIME_ISA

// Gradients that are sums of a unit's own values over (time, row) pairs: biases, peepholes, and gains and shifts of
// layer normalisation. A chunk's pairs are added up from zero and in order, then the chunks.
#pragma once

#include "norm.h"
#include "pairs.h"
#include "weight_gradient.h"

namespace throughtime::THROUGHTIME_ISA {

// Adds `sum` to the totals at `total`.
template <class T, int N>
THROUGHTIME_INLINE void add_to(T* total, const Vectors<T, N>& sum) {
    auto all = Vectors<T, N>::from(total);
    for (int i = 0; i < N; ++i) all.v[i] += sum.v[i];
    all.to(total);
}

template <class Cell, class T>
class SlotSums {
public:
    static constexpr int told_slots = slot_count<Cell>;

    void allocate(const Inputs<T>& in, Index, Arena& arena) { sums_ = arena.get<R>(vectors<T>(in.H) * count * W); }

    void start(const Inputs<T>&, Index v0, Index v1) const {
        for (Index i = v0 * count * W; i < v1 * count * W; ++i) sums_[i] = R{0};
    }

    // The gradients of the gates, told_slots a pair.
    template <class F>
    Dgates<F> told(Dgates<F> dgates) const {
        return dgates;
    }

    // Unit vector v of a chunk's n pairs.
    template <class F>
    void add(Dgates<F> dgates, const Pair<T>* pairs, Index n, Index v, const Inputs<T>& in, bool zoned) const {
        const Index H = in.H, B = in.B;
        const F* at = dgates.data + v * dgates.vector_stride;
        Vectors<R, slots> sum{};
        Vectors<R, 3> peephole_sum{};
        const Index left = H - v * W;
        for (Index i = 0; i < n; ++i, at += slots * W) {
            const auto da = Vectors<R, slots>::from(at);
            for (int s = 0; s < slots; ++s) sum.v[s] += da.v[s];
            if constexpr (Cell::peepholes > 0) {
                const Vec<T> c_prev = load_or_zero(pairs[i].c_prev, v, left);
                const Vec<T> c = new_c_of<Cell>(pairs[i], v, B, left, c_prev, zoned);
                Cell::template peephole_gradient<R>(da.v, c_prev, c, peephole_sum.v);
            }
        }
        R* const total = sums_ + v * count * W;
        add_to<R>(total, sum);
        if constexpr (Cell::peepholes > 0) add_to<R>(total + slots * W, peephole_sum);
    }

    void write(const BackwardCall<T>& call, Index v) const {
        const Index H = call.H, left = H - v * W;
        const auto sum = [&](int i) { return load<R>(sums_ + (v * count + i) * W); };
        for (int s = 0; s < slots; ++s) {
            const Slot slot = Cell::slots[s];
            if (call.dbias_ih != nullptr && slot.ih >= 0) {
                store_first(call.dbias_ih + slot.ih * H + v * W, sum(s), left);
            }
            if (call.dbias_hh != nullptr && slot.hh >= 0) {
                store_first(call.dbias_hh + slot.hh * H + v * W, sum(s), left);
            }
        }
        for (int i = 0; call.dweight_ch != nullptr && i < Cell::peepholes; ++i) {
            store_first(call.dweight_ch + i * H + v * W, sum(slots + i), left);
        }
    }

private:
    using R = Real<T>;
    static constexpr Index W = lanes<T>;
    static constexpr int slots = slot_count<Cell>, count = slots + (Cell::peepholes > 0 ? 3 : 0);
    R* sums_ = nullptr;  // [unit vector, slots and peepholes, lane]
};

// Of a cell that normalises: the gradients of its plain cell's slots and of LN(c), and what multiplies them.
template <class Cell, class T>
class NormSums {
public:
    // What a pair keeps for the sums: the gradients of the plain slots, of LN(c) + shift, and the latter times LN(c).
    static constexpr int kept = Cell::plain_slots + (Cell::has_cell ? 2 : 0);

    void allocate(Index V, Arena& arena) { sums_ = arena.get<T>(V * count * W); }

    void start(Index v0, Index v1) const {
        for (Index i = v0 * count * W; i < v1 * count * W; ++i) sums_[i] = T{0};
    }

    // Unit vector v of a chunk's n pairs, whose kept gradients are at `at`.
    void add(const T* at, const Pair<T>* pairs, Index n, Index v) const {
        Vectors<T, kept> sum{};
        Vectors<T, slots> gains{};
        for (Index i = 0; i < n; ++i, at += kept * W) {
            const auto da = Vectors<T, kept>::from(at);
            const auto unit = Vectors<T, slots>::from(pairs[i].saved + v * slots * W);
            Vec<T> d[slots];
            Cell::template part<T>(da.v, d);
            for (int k = 0; k < kept; ++k) sum.v[k] += da.v[k];
            for (int s = 0; s < slots; ++s) gains.v[s] = fma(d[s], unit.v[s], gains.v[s]);
        }
        add_to<T>(sums_ + v * count * W, sum);
        add_to<T>(sums_ + (v * count + kept) * W, gains);
    }

    void write(const BackwardCall<T>& call, Index v) const {
        const Index H = call.H, left = H - v * W;
        const auto put = [&](T* to, Index block, int i) {
            if (to != nullptr) store_first(to + block * H + v * W, load<T>(sums_ + (v * count + i) * W), left);
        };
        for (int s = 0; s < Cell::plain_slots; ++s) {
            const Slot slot = Cell::Plain::slots[s];
            if (slot.ih >= 0) put(call.dbias_ih, slot.ih, s);
            if (slot.hh >= 0) put(call.dbias_hh, slot.hh, s);
        }
        for (int g = 0; g < Cell::gates; ++g) {
            put(call.dweight_ln_ih, g, kept + g);
            put(call.dweight_ln_hh, g, kept + Cell::gates + g);
        }
        if constexpr (Cell::has_cell) {
            put(call.dbias_ln_c, 0, Cell::plain_slots);
            put(call.dweight_ln_c, 0, Cell::plain_slots + 1);
        }
    }

private:
    static constexpr Index W = lanes<T>;
    static constexpr int slots = slot_count<Cell>, count = kept + slots;
    T* sums_ = nullptr;  // [unit vector, kept and gains, lane]
};

}  // namespace throughtime::THROUGHTIME_ISA

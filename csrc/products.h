// The two products of a forward step, shared by whole sequences and the stepper (which is why they agree bit for bit).
#pragma once

#include "pack.h"
#include "tile.h"

namespace throughtime::THROUGHTIME_ISA {

// Pre-activations of some rows: unit vector v, row i, slot s at data + (v - first_vector) * vector_stride + (i * slots + s) * W.
template <class T>
struct SlotBlock {
    T* data;
    Index vector_stride, first_vector;
};

// slots of rows 0..count-1 := biases + W_ih x, for unit vectors v0 <= v < v1. Slots that x does not feed get the biases.
template <class Cell, class T>
void multiply_x(const PackedWeights<T>& packed, Index I, const Factor<T>* const* x_rows, Index count, Index v0,
                Index v1, SlotBlock<Real<T>> out) {
    constexpr Index W = lanes<T>;
    constexpr Index slots = slot_count<Cell>;
    constexpr int G = Cell::x_product.count, first = Cell::x_product.first;
    using F = Factor<T>;
    using R = Real<T>;
    by_units<Cell::x_product.units>(v0, v1, [&](auto units, Index v) {
        constexpr int U = decltype(units)::value;
        const Right<F> right{packed_at<T>(packed.ih, v, I, G), G * W, terms<F>(I) * G * W};
        const R* biases = packed.biases + v * slots * W;
        R* block = out.data + (v - out.first_vector) * out.vector_stride;
        const Tiles tiles(count, tile_rows(G * U));
        for (Index tile = 0; tile < tiles.number; ++tile) {
            const Index begin = tiles.begin(tile), end = tiles.begin(tile + 1);
            const Sums<R> sums{biases + first * W, 0, slots * W, block + (begin * slots + first) * W, slots * W,
                               out.vector_stride};
            multiply_rows_of<F, G, U, tile_rows(G * U)>(static_cast<int>(end - begin), x_rows + begin, contiguous(I),
                                                        right, sums);
        }
        for (int s = 0; s < slots; ++s) {
            if (Cell::normalizes || Cell::slots[s].ih >= 0) continue;
            for (int u = 0; u < U; ++u) {
                const Vec<T> bias = load(static_cast<const R*>(biases + (u * slots + s) * W));
                for (Index i = 0; i < count; ++i) store(block + u * out.vector_stride + (i * slots + s) * W, bias);
            }
        }
    });
}

// Adds product P with the state (or with r h) to its slots (which hold nothing yet where it will be normalised); after(v, U, begin, end) runs once rows begin..end-1 of unit
// vectors v..v+U-1 are complete, while they are in the first cache.
template <class Cell, int P, class T, class After>
void multiply_h(const PackedWeights<T>& packed, Index H, const Factor<T>* const* rows, Index count, Index v0, Index v1,
                SlotBlock<Real<T>> out, After after) {
    constexpr Index W = lanes<T>;
    constexpr Index slots = slot_count<Cell>;
    constexpr Product product = Cell::h_products[P];
    constexpr int G = product.count, first = product.first;
    using F = Factor<T>;
    using R = Real<T>;
    by_units<product.units>(v0, v1, [&](auto units, Index v) {
        constexpr int U = decltype(units)::value;
        const Right<F> right{packed_at<T>(packed.hh[P], v, H, G), G * W, terms<F>(H) * G * W};
        R* block = out.data + (v - out.first_vector) * out.vector_stride + first * W;
        const Tiles tiles(count, tile_rows(G * U));
        for (Index tile = 0; tile < tiles.number; ++tile) {
            const Index begin = tiles.begin(tile), end = tiles.begin(tile + 1);
            R* at = block + begin * slots * W;
            const Sums<R> sums{
                Cell::normalizes ? nullptr : at, slots * W, out.vector_stride, at, slots * W, out.vector_stride};
            multiply_rows_of<F, G, U, tile_rows(G * U)>(static_cast<int>(end - begin), rows + begin, contiguous(H),
                                                        right, sums);
            after(v, U, begin, end);
        }
    });
}

// A row of n values as a product takes it: where it is, or widened into `room`.
template <class T>
THROUGHTIME_INLINE const Factor<T>* factors(const T* row, [[maybe_unused]] Factor<T>* room, [[maybe_unused]] Index n) {
    if constexpr (term_size<T> == term_size<Factor<T>>) {
        return row;
    } else {
        for (Index k = 0; k < n; ++k) room[k] = real(row[k]);
        return room;
    }
}

// Values that `factors` needs room for, of n in all.
template <class T>
constexpr Index factor_room(Index n) {
    return term_size<T> == term_size<Factor<T>> ? 0 : n;
}

template <class T, int N>
struct Vectors {
    Vec<T> v[N];
    template <class P>
    THROUGHTIME_INLINE static Vectors from(const P* p) {
        Vectors r;
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i) r.v[i] = load(p + i * lanes<T>);
        return r;
    }
    template <class P>
    THROUGHTIME_INLINE void to(P* p) const {
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i) store(p + i * lanes<T>, v[i]);
    }
};

template <class Cell, class T>
THROUGHTIME_INLINE Vectors<T, 3> peepholes_of(const T* peephole, Index v) {
    if constexpr (Cell::peepholes > 0) {
        return Vectors<T, 3>::from(peephole + v * 3 * lanes<T>);
    } else {
        return {};
    }
}

}  // namespace throughtime::THROUGHTIME_ISA

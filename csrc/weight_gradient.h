// Weight gradients: dW = sum over (time, row) of dgates x^T, with the product kernel whose k runs over those pairs.
//
// A chunk's dgates lie as [unit vector][pair][slot][lane], which is how the kernel reads a right factor (where its terms
// hold two values, two pairs' dgates have been put side by side). The left factor (x, h or r h) is packed a few columns
// at a time. Sums run over fixed blocks of pairs, each from zero, added up in
// order: blocks depend on T, B and the lengths alone, so any team adds in the same order.
#pragma once

#include "pack.h"
#include "tile.h"

namespace throughtime::THROUGHTIME_ISA {

// dgates of a chunk: unit vector v, pair i at data + v * vector_stride + i * slots * W; or their terms over pairs.
template <class T>
struct Dgates {
    T* data;
    Index vector_stride;
};

// The terms over pairs of unit vectors v0 <= v < v1: pair 2k's values beside pair 2k+1's.
template <int Slots>
void pair_up(Dgates<BFloat16> dgates, Index count, Index v0, Index v1, Dgates<uint32_t> terms) {
    constexpr Index W = lanes<BFloat16>, width = Slots * W;
    for (Index v = v0; v < v1; ++v) {
        const BFloat16* row = dgates.data + v * dgates.vector_stride;
        uint32_t* to = terms.data + v * terms.vector_stride;
        for (Index i = 0; i < count; i += 2, row += 2 * width, to += width) {
            const BFloat16* next = i + 1 < count ? row + width : nullptr;
            for (Index s = 0; s < width; s += W) store_pairs(to + s, row + s, next == nullptr ? next : next + s, W);
        }
    }
}

// Pairs in a block of a sum: long enough to pay for reading and writing dW, short enough for the packed columns of a
// tile to stay in the first cache.
inline constexpr Index pairs_per_block = 256;

// One weight matrix's gradient, `slots` the width of a pair in dgates, fed by slots first .. first+G-1, `Units` unit
// vectors at a time.
template <class T, int Slots, int First, int G, int Units>
struct WeightGradient {
    using F = Factor<T>;
    using R = Real<T>;
    static constexpr Index W = lanes<T>;
    static constexpr Index terms_per_block = pairs_per_block / term_size<F>;
    static constexpr int columns = tile_rows(G * Units);  // left columns packed side by side
    Index K, V;                                           // columns of the weight, unit vectors
    R* packed;                                            // packed: [V][K][G][lane]

    template <class Arena>
    void allocate(Index K_, Index V_, Arena& arena) {
        K = K_;
        V = V_;
        packed = arena.template get<R>(V * K * G * W);
    }

    Index tiles() const { return (K + columns - 1) / columns; }

    // What add() needs as scratch for tiles t0 <= t < t1.
    static Index scratch(Index tiles) { return tiles * terms_per_block * columns; }

    void clear(Index v0, Index v1) const {
        std::memset(packed + v0 * K * G * W, 0, static_cast<std::size_t>((v1 - v0) * K * G * W) * sizeof(R));
    }

    // Adds the chunk's `count` pairs; left(i) is pair i's row of the left factor, null for zeros.
    template <class Left>
    void add(Dgates<Term<F>> dgates, Index count, Index t0, Index t1, Term<F>* scratch, Left left) const {
        if (t0 == t1) return;
        for (Index i0 = 0; i0 < count; i0 += pairs_per_block) {
            const Index n = count - i0 < pairs_per_block ? count - i0 : pairs_per_block;
            for (Index k = 0; k < terms<F>(n); ++k) {
                const Index i = i0 + k * term_size<F>;
                if constexpr (term_size<F> == 1) {
                    pack(left(i), t0, t1, scratch + k * columns);
                } else {
                    pack_two(left(i), i + 1 < i0 + n ? left(i + 1) : nullptr, t0, t1, scratch + k * columns);
                }
            }
            by_units<Units>(0, V, [&](auto units, Index v) {
                constexpr int U = decltype(units)::value;
                const Right<F> right{dgates.data + v * dgates.vector_stride + (i0 / term_size<F> * Slots + First) * W,
                                     Slots * W, dgates.vector_stride};
                for (Index t = t0; t < t1; ++t) {
                    const Index k = t * columns, m = K - k < columns ? K - k : columns;
                    const Sums<R> sums{nullptr, 0, 0, packed + (v * K + k) * G * W, G * W, K * G * W};
                    multiply_packed_of<F, G, U, columns, columns>(
                        static_cast<int>(m), scratch + (t - t0) * terms_per_block * columns, terms<F>(n), right, sums);
                }
            });
        }
    }

    void unpack(const int* block, Index v, Index H, T* dweight) const {
        unpack_unit_vector(packed + v * K * G * W, block, G, v, H, K, dweight);
    }

private:
    // One pair's row into its place in each tile.
    void pack(const T* row, Index t0, Index t1, Term<F>* to) const {
        for (Index t = t0; t < t1; ++t, to += terms_per_block * columns) {
            const Index k = t * columns, m = K - k < columns ? K - k : columns;
            if (row == nullptr) {
                for (Index c = 0; c < m; ++c) to[c] = R{0};
            } else if (m == columns) {
#pragma GCC unroll 32
                for (int c = 0; c < columns; ++c) to[c] = real(row[k + c]);
            } else {
                for (Index c = 0; c < m; ++c) to[c] = real(row[k + c]);
            }
        }
    }

    // Two pairs' rows into their place in each tile.
    void pack_two(const BFloat16* first, const BFloat16* second, Index t0, Index t1, uint32_t* to) const {
        for (Index t = t0; t < t1; ++t, to += terms_per_block * columns) {
            const Index k = t * columns, m = K - k < columns ? K - k : columns;
            for (Index c = 0; c < m; ++c) {
                const uint32_t low = first != nullptr ? first[k + c].bits : 0;
                const uint32_t high = second != nullptr ? second[k + c].bits : 0;
                to[c] = low | high << 16;
            }
        }
    }
};

}  // namespace throughtime::THROUGHTIME_ISA

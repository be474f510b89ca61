// Weight gradients: dW = sum over (time, row) of dgates x^T, with the product kernel whose k runs over those pairs.
//
// A chunk's dgates lie as [unit vector][pair][slot][lane], which is how the kernel reads a right factor. The left factor
// (x, h or r h) is packed a few columns at a time. Sums run over fixed blocks of pairs, each from zero, added up in
// order: blocks depend on T, B and the lengths alone, so any team adds in the same order.
#pragma once

#include "pack.h"
#include "tile.h"

namespace throughtime::THROUGHTIME_ISA {

// dgates of a chunk: unit vector v, pair i at data + v * vector_stride + i * slots * W.
template <class T>
struct Dgates {
    T* data;
    Index vector_stride;
};

// Pairs in a block of a sum: long enough to pay for reading and writing dW, short enough for the packed columns of a
// tile to stay in the first cache.
inline constexpr Index pairs_per_block = 256;

// One weight matrix's gradient, `slots` the width of a pair in dgates, fed by slots first .. first+G-1, `Units` unit
// vectors at a time.
template <class T, int Slots, int First, int G, int Units>
struct WeightGradient {
    static constexpr Index W = lanes<T>;
    static constexpr int columns = tile_rows(G * Units);  // left columns packed side by side
    Index K, V;                                           // columns of the weight, unit vectors
    T* packed;                                            // packed: [V][K][G][lane]

    template <class Arena>
    void allocate(Index K_, Index V_, Arena& arena) {
        K = K_;
        V = V_;
        packed = arena.template get<T>(V * K * G * W);
    }

    Index tiles() const { return (K + columns - 1) / columns; }

    // What add() needs as scratch for tiles t0 <= t < t1.
    static Index scratch(Index tiles) { return tiles * pairs_per_block * columns; }

    void clear(Index v0, Index v1) const {
        std::memset(packed + v0 * K * G * W, 0, static_cast<std::size_t>((v1 - v0) * K * G * W) * sizeof(T));
    }

    // Adds the chunk's `count` pairs; left(i) is pair i's row of the left factor, null for zeros.
    template <class Left>
    void add(Dgates<T> dgates, Index count, Index t0, Index t1, T* scratch, Left left) const {
        if (t0 == t1) return;
        for (Index i0 = 0; i0 < count; i0 += pairs_per_block) {
            const Index n = count - i0 < pairs_per_block ? count - i0 : pairs_per_block;
            for (Index i = 0; i < n; ++i) pack(left(i0 + i), t0, t1, scratch + i * columns);
            by_units<Units>(0, V, [&](auto units, Index v) {
                constexpr int U = decltype(units)::value;
                const Right<T> right{dgates.data + v * dgates.vector_stride + (i0 * Slots + First) * W, Slots * W,
                                     dgates.vector_stride};
                for (Index t = t0; t < t1; ++t) {
                    const Index k = t * columns, m = K - k < columns ? K - k : columns;
                    const Sums<T> sums{nullptr, 0, 0, packed + (v * K + k) * G * W, G * W, K * G * W};
                    multiply_packed_of<T, G, U, columns, columns>(
                        static_cast<int>(m), scratch + (t - t0) * pairs_per_block * columns, n, right, sums);
                }
            });
        }
    }

    void unpack(const int* block, Index v, Index H, T* dweight) const {
        unpack_unit_vector(packed + v * K * G * W, block, G, v, H, K, dweight);
    }

private:
    // One pair's row into its place in each tile.
    void pack(const T* row, Index t0, Index t1, T* to) const {
        for (Index t = t0; t < t1; ++t, to += pairs_per_block * columns) {
            const Index k = t * columns, m = K - k < columns ? K - k : columns;
            if (row == nullptr) {
                for (Index c = 0; c < m; ++c) to[c] = T{0};
            } else if (m == columns) {
#pragma GCC unroll 32
                for (int c = 0; c < columns; ++c) to[c] = row[k + c];
            } else {
                for (Index c = 0; c < m; ++c) to[c] = row[k + c];
            }
        }
    }
};

}  // namespace throughtime::THROUGHTIME_ISA

// Weights and weight gradients between torch's row-stacked layout and the kernels' [unit vector][k][gate][lane].
#pragma once

#include "cells.h"

namespace throughtime::THROUGHTIME_ISA {

template <class T>
constexpr Index vectors(Index n) {
    return (n + lanes<T> - 1) / lanes<T>;
}

// Lanes of unit vector v that hold units of H.
template <class T>
THROUGHTIME_INLINE Index used_lanes(Index v, Index H) {
    const Index left = H - v * lanes<T>;
    return left < lanes<T> ? left : lanes<T>;
}

// packed: [G][lane] of unit vector v for each term of k = 0..K-1, from rows block[g]*H + v*W + lane of weight: [..,K].
// Lanes beyond H become zero: they take part in sums that nobody reads, and must stay finite.
template <class F, class T>
void pack_unit_vector(const T* weight, const int* block, int G, Index v, Index H, Index K, Term<F>* packed) {
    constexpr Index W = lanes<T>;
    const Index used = used_lanes<T>(v, H);
    // Sixteen k at a time: the lines written for one lane are still in the first cache for the next.
    constexpr Index step = 16;
    const Index n = terms<F>(K);
    for (Index k0 = 0; k0 < n; k0 += step) {
        const Index k1 = k0 + step < n ? k0 + step : n;
        for (int g = 0; g < G; ++g) {
            for (Index lane = 0; lane < W; ++lane) {
                Term<F>* to = packed + g * W + lane;
                if (lane < used) {
                    const T* from = weight + (block[g] * H + v * W + lane) * K;
                    for (Index k = k0; k < k1; ++k) to[k * G * W] = term_of<F>(from, k, K);
                } else {
                    for (Index k = k0; k < k1; ++k) to[k * G * W] = Term<F>{0};
                }
            }
        }
    }
}

template <class T>
THROUGHTIME_INLINE void put(T* to, Real<T> value) {
    if constexpr (is_bfloat16<T>) {
        to->bits = narrow(broadcast(value))[0];
    } else {
        *to = value;
    }
}

// The way back: dweight rows from the packed sums.
template <class T>
void unpack_unit_vector(const Real<T>* packed, const int* block, int G, Index v, Index H, Index K, T* dweight) {
    constexpr Index W = lanes<T>;
    const Index used = used_lanes<T>(v, H);
    constexpr Index step = 16;
    for (Index k0 = 0; k0 < K; k0 += step) {
        const Index k1 = k0 + step < K ? k0 + step : K;
        for (int g = 0; g < G; ++g) {
            for (Index lane = 0; lane < used; ++lane) {
                const Real<T>* from = packed + g * W + lane;
                T* to = dweight + (block[g] * H + v * W + lane) * K;
                for (Index k = k0; k < k1; ++k) put(to + k, from[k * G * W]);
            }
        }
    }
}

// packed: [term][lane] for output vector j of the transposed product, k running over (unit vector, gate, used lane):
// columns j*W .. of weight: [..,N], whose row for k is block[g]*H + unit. No term holds values of two gates.
template <class F, class T>
void pack_transposed(const T* weight, const int* block, int G, Index j, Index H, Index N, Term<F>* packed) {
    constexpr Index W = lanes<T>;
    for (Index v = 0; v < vectors<T>(H); ++v) {
        for (int g = 0; g < G; ++g) {
            const T* from = weight + (block[g] * H + v * W) * N + j * W;
            const Index used = used_lanes<T>(v, H);
            for (Index lane = 0; lane < used; lane += term_size<F>) {
                const T* row = from + lane * N;
                if constexpr (is_bfloat16<F>) {
                    store_pairs(packed, row, lane + 1 < used ? row + N : nullptr, N - j * W);
                } else {
                    store(packed, load_first(row, N - j * W));
                }
                packed += W;
            }
        }
    }
}

// biases: [slot][lane] of unit vector v, b_ih + b_hh as far as they feed the slot.
template <class Cell, class T>
void pack_biases(const T* bias_ih, const T* bias_hh, Index v, Index H, Real<T>* biases) {
    constexpr Index W = lanes<T>;
    for (int s = 0; s < slot_count<Cell>; ++s) {
        const Slot slot = Cell::slots[s];
        Vec<T> sum = {};
        if (bias_ih != nullptr && slot.ih >= 0) sum = load_first(bias_ih + slot.ih * H + v * W, H - v * W);
        if (bias_hh != nullptr && slot.hh >= 0) sum += load_first(bias_hh + slot.hh * H + v * W, H - v * W);
        store(biases + s * W, sum);
    }
}

// The weight blocks that feed a run of slots.
struct Blocks {
    int block[4];
};

template <class Cell>
constexpr Blocks ih_blocks() {
    Blocks b{};
    for (int g = 0; g < Cell::x_product.count; ++g) b.block[g] = Cell::slots[Cell::x_product.first + g].ih;
    return b;
}

template <class Cell>
constexpr Blocks hh_blocks(int product) {
    Blocks b{};
    for (int g = 0; g < Cell::h_products[product].count; ++g) {
        b.block[g] = Cell::slots[Cell::h_products[product].first + g].hh;
    }
    return b;
}

template <class Cell, class T, class Arena>
PackedWeights<T> allocate_packed(Index I, Index H, Arena& arena) {
    const Index n = vectors<T>(H) * lanes<T>;
    PackedWeights<T> packed{};
    using F = Factor<T>;
    packed.ih = arena.template get<Term<F>>(n * terms<F>(I) * Cell::x_product.count);
    for (int p = 0; p < h_product_count<Cell>; ++p) {
        packed.hh[p] = arena.template get<Term<F>>(n * terms<F>(H) * Cell::h_products[p].count);
    }
    packed.biases = arena.template get<Real<T>>(n * slot_count<Cell>);
    if (Cell::peepholes > 0) packed.peephole = arena.template get<Real<T>>(n * Cell::peepholes);
    if constexpr (Cell::normalizes) packed.norm = arena.template get<Real<T>>(n * Cell::norm_count);
    return packed;
}

// Unit vector v of packed weights with K columns and `count` gates side by side.
template <class T>
THROUGHTIME_INLINE Term<Factor<T>>* packed_at(void* packed, Index v, Index K, Index count) {
    return static_cast<Term<Factor<T>>*>(packed) + v * terms<Factor<T>>(K) * count * lanes<T>;
}

template <class T>
void pack_peepholes(const T* weight_ch, Index v, Index H, Real<T>* peephole) {
    constexpr Index W = lanes<T>;
    for (int i = 0; i < 3; ++i) store(peephole + i * W, load_first(weight_ch + i * H + v * W, H - v * W));
}

// norm: the gains and shifts of unit vector v. Lanes beyond H become zero, and with them what is normalised.
template <class Cell, class T>
void pack_norm(const Inputs<T>& in, Index v, T* norm) {
    constexpr Index W = lanes<T>;
    const auto put = [&](int i, const T* from) {
        store(norm + i * W, from != nullptr ? load_first(from + v * W, in.H - v * W) : Vec<T>{});
    };
    const auto block = [&](const T* from, int g) { return from != nullptr ? from + g * in.H : nullptr; };
    for (int g = 0; g < Cell::gates; ++g) {
        put(Cell::gain + g, block(in.norm.weight_ln_ih, g));
        put(Cell::gain + Cell::gates + g, block(in.norm.weight_ln_hh, g));
        put(Cell::shift + g, block(in.bias_ih, g));
        put(Cell::shift + Cell::gates + g, block(in.bias_hh, g));
    }
    if constexpr (Cell::has_cell) {
        put(Cell::gain_c, in.norm.weight_ln_c);
        put(Cell::shift_c, in.norm.bias_ln_c);
    }
}

template <class Cell, class T>
void pack_weights(const Inputs<T>& in, Index v, const PackedWeights<T>& packed) {
    constexpr Index W = lanes<T>;
    constexpr int x_count = Cell::x_product.count;
    using F = Factor<T>;
    pack_unit_vector<F>(in.weight_ih, ih_blocks<Cell>().block, x_count, v, in.H, in.I,
                        packed_at<T>(packed.ih, v, in.I, x_count));
    for (int p = 0; p < h_product_count<Cell>; ++p) {
        const int count = Cell::h_products[p].count;
        pack_unit_vector<F>(in.weight_hh, hh_blocks<Cell>(p).block, count, v, in.H, in.H,
                            packed_at<T>(packed.hh[p], v, in.H, count));
    }
    if constexpr (Cell::normalizes) {
        // Products start from zeros: the biases come after them, as shifts.
        pack_biases<Cell, T>(nullptr, nullptr, v, in.H, packed.biases + v * slot_count<Cell> * W);
        pack_norm<Cell>(in, v, packed.norm + v * Cell::norm_count * W);
    } else {
        pack_biases<Cell>(in.bias_ih, in.bias_hh, v, in.H, packed.biases + v * slot_count<Cell> * W);
    }
    if constexpr (Cell::peepholes > 0) {
        pack_peepholes(in.weight_ch, v, in.H, packed.peephole + v * Cell::peepholes * W);
    }
}

}  // namespace throughtime::THROUGHTIME_ISA

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

// packed: [G][lane] of unit vector v for k = 0..K-1, from rows block[g]*H + v*W + lane of weight: [..,K].
// Lanes beyond H become zero: they take part in sums that nobody reads, and must stay finite.
template <class T>
void pack_unit_vector(const T* weight, const int* block, int G, Index v, Index H, Index K, T* packed) {
    constexpr Index W = lanes<T>;
    const Index used = used_lanes<T>(v, H);
    // Sixteen k at a time: the lines written for one lane are still in the first cache for the next.
    constexpr Index step = 16;
    for (Index k0 = 0; k0 < K; k0 += step) {
        const Index k1 = k0 + step < K ? k0 + step : K;
        for (int g = 0; g < G; ++g) {
            for (Index lane = 0; lane < W; ++lane) {
                T* to = packed + g * W + lane;
                if (lane < used) {
                    const T* from = weight + (block[g] * H + v * W + lane) * K;
                    for (Index k = k0; k < k1; ++k) to[k * G * W] = from[k];
                } else {
                    for (Index k = k0; k < k1; ++k) to[k * G * W] = T{0};
                }
            }
        }
    }
}

// The way back: dweight rows from the packed sums.
template <class T>
void unpack_unit_vector(const T* packed, const int* block, int G, Index v, Index H, Index K, T* dweight) {
    constexpr Index W = lanes<T>;
    const Index used = used_lanes<T>(v, H);
    constexpr Index step = 16;
    for (Index k0 = 0; k0 < K; k0 += step) {
        const Index k1 = k0 + step < K ? k0 + step : K;
        for (int g = 0; g < G; ++g) {
            for (Index lane = 0; lane < used; ++lane) {
                const T* from = packed + g * W + lane;
                T* to = dweight + (block[g] * H + v * W + lane) * K;
                for (Index k = k0; k < k1; ++k) to[k] = from[k * G * W];
            }
        }
    }
}

// packed: [k][lane] for output vector j of the transposed product, k running over (unit vector, gate, used lane):
// columns j*W .. of weight: [..,N], whose row for k is block[g]*H + unit.
template <class T>
void pack_transposed(const T* weight, const int* block, int G, Index j, Index H, Index N, T* packed) {
    constexpr Index W = lanes<T>;
    for (Index v = 0; v < vectors<T>(H); ++v) {
        for (int g = 0; g < G; ++g) {
            const T* from = weight + (block[g] * H + v * W) * N + j * W;
            for (Index lane = 0; lane < used_lanes<T>(v, H); ++lane) {
                store(packed, load_first(from + lane * N, N - j * W));
                packed += W;
            }
        }
    }
}

// biases: [slot][lane] of unit vector v, b_ih + b_hh as far as they feed the slot.
template <class Cell, class T>
void pack_biases(const T* bias_ih, const T* bias_hh, Index v, Index H, T* biases) {
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
    packed.ih = arena.template get<T>(n * I * Cell::x_product.count);
    for (int p = 0; p < h_product_count<Cell>; ++p) {
        packed.hh[p] = arena.template get<T>(n * H * Cell::h_products[p].count);
    }
    packed.biases = arena.template get<T>(n * slot_count<Cell>);
    if (Cell::peepholes > 0) packed.peephole = arena.template get<T>(n * Cell::peepholes);
    return packed;
}

template <class T>
void pack_peepholes(const T* weight_ch, Index v, Index H, T* peephole) {
    constexpr Index W = lanes<T>;
    for (int i = 0; i < 3; ++i) store(peephole + i * W, load_first(weight_ch + i * H + v * W, H - v * W));
}

template <class Cell, class T>
void pack_weights(const Inputs<T>& in, Index v, const PackedWeights<T>& packed) {
    constexpr Index W = lanes<T>;
    constexpr int x_count = Cell::x_product.count;
    pack_unit_vector(in.weight_ih, ih_blocks<Cell>().block, x_count, v, in.H, in.I, packed.ih + v * in.I * x_count * W);
    for (int p = 0; p < h_product_count<Cell>; ++p) {
        const int count = Cell::h_products[p].count;
        pack_unit_vector(in.weight_hh, hh_blocks<Cell>(p).block, count, v, in.H, in.H,
                         packed.hh[p] + v * in.H * count * W);
    }
    pack_biases<Cell>(in.bias_ih, in.bias_hh, v, in.H, packed.biases + v * slot_count<Cell> * W);
    if constexpr (Cell::peepholes > 0) {
        pack_peepholes(in.weight_ch, v, in.H, packed.peephole + v * Cell::peepholes * W);
    }
}

}  // namespace throughtime::THROUGHTIME_ISA

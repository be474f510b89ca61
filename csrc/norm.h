// Layer normalisation of one row's values, and a step's pointwise part of the cells that have it.
//
// A row's sums run over unit vectors, then slots, then lanes, whatever other rows there are; hence a sequence is
// divided among threads by rows alone. Lanes beyond H hold zeros before they are normalised, and have gains and shifts
// of zero.
#pragma once

#include "products.h"

namespace throughtime::THROUGHTIME_ISA {

// The sum of a vector's lanes: its halves are added until one lane is left.
#if defined(__AVX2__)
THROUGHTIME_INLINE float sum_of_lanes(__m256 v) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
THROUGHTIME_INLINE double sum_of_lanes(__m256d v) {
    const __m128d sum = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(sum, _mm_unpackhi_pd(sum, sum)));
}
#endif
#if THROUGHTIME_VECTOR_BYTES == 64
THROUGHTIME_INLINE float sum_of_lanes(Vec<float> v) {
    float x[16];
    store(x, v);
    return sum_of_lanes(_mm256_add_ps(_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8)));
}
THROUGHTIME_INLINE double sum_of_lanes(Vec<double> v) {
    double x[8];
    store(x, v);
    return sum_of_lanes(_mm256_add_pd(_mm256_loadu_pd(x), _mm256_loadu_pd(x + 4)));
}
#elif !defined(__AVX2__)
THROUGHTIME_INLINE float sum_of_lanes(Vec<float> v) { return (v[0] + v[2]) + (v[1] + v[3]); }
THROUGHTIME_INLINE double sum_of_lanes(Vec<double> v) { return v[0] + v[1]; }
#endif

THROUGHTIME_INLINE float root(float x) { return __builtin_sqrtf(x); }
THROUGHTIME_INLINE double root(double x) { return __builtin_sqrt(x); }

// What (1) of throughtime/cells/layer_norm.py adds to a variance.
inline constexpr double norm_epsilon = 1e-5;

// 1 / sqrt(variance + epsilon), from the sum of n squared distances to the mean.
template <class T>
THROUGHTIME_INLINE T norm_scale(Vec<T> squares, T n) {
    return T{1} / root(sum_of_lanes(squares) / n + T(norm_epsilon));
}

// H hidden units in V vectors; `tail` is 1 in the lanes of the last one that hold units.
template <class T>
struct RowShape {
    Index H, V;
    Vec<T> tail;

    explicit RowShape(Index H_) : H(H_), V(vectors<T>(H_)), tail{} {
        for (Index lane = 0; lane < used_lanes<T>(V - 1, H); ++lane) tail[lane] = T{1};
    }

    // x, zero beyond H.
    THROUGHTIME_INLINE Vec<T> used(Index v, Vec<T> x) const { return v + 1 == V ? x * tail : x; }
};

// Values that a row saves for its backward pass: [unit vector, slot, lane] normalised, then Cell::row_values.
template <class Cell, class T>
constexpr Index saved_row(Index V) {
    return V * slot_count<Cell> * lanes<T> + Cell::row_values;
}

// One row's step, from the two products in `at` ([unit vector, slot, lane], vectors `stride` apart, overwritten) on.
// norm: packed gains and shifts. saved: saved_row values, or null. before(v, h, c) gives the state before the step,
// after(v, h, c) takes the cell's own new one.
template <class Cell, class T, class Before, class After>
THROUGHTIME_INLINE void normalized_row(T* at, Index stride, const RowShape<T>& shape, const T* norm, T* saved,
                                       Before before, After after) {
    constexpr Index W = lanes<T>;
    constexpr int G = Cell::gates, slots = 2 * G;
    using Plain = typename Cell::Plain;
    const Index V = shape.V;
    const T n = static_cast<T>(G * shape.H);
    Vec<T> sum_x{}, sum_h{};
    for (Index v = 0; v < V; ++v) {
        const auto a = Vectors<T, slots>::from(at + v * stride);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
            sum_x += a.v[g];
            sum_h += a.v[G + g];
        }
    }
    const Vec<T> mean_x = broadcast(sum_of_lanes(sum_x) / n), mean_h = broadcast(sum_of_lanes(sum_h) / n);
    Vec<T> squares_x{}, squares_h{};
    for (Index v = 0; v < V; ++v) {
        const auto a = Vectors<T, slots>::from(at + v * stride);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
            const Vec<T> from_x = shape.used(v, a.v[g] - mean_x), from_h = shape.used(v, a.v[G + g] - mean_h);
            squares_x = fma(from_x, from_x, squares_x);
            squares_h = fma(from_h, from_h, squares_h);
        }
    }
    const T scale_x = norm_scale<T>(squares_x, n), scale_h = norm_scale<T>(squares_h, n);
    const Vec<T> by_x = broadcast(scale_x), by_h = broadcast(scale_h);
    Vec<T> sum_c{};
    for (Index v = 0; v < V; ++v) {
        auto unit = Vectors<T, slots>::from(at + v * stride);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
            unit.v[g] = (unit.v[g] - mean_x) * by_x;
            unit.v[G + g] = (unit.v[G + g] - mean_h) * by_h;
        }
        if (saved != nullptr) unit.to(saved + v * slots * W);
        Vec<T> a[Cell::plain_slots], h_prev = {}, c = {}, h;
        Cell::template join<T>(unit.v, norm + v * Cell::norm_count * W, a);
        before(v, h_prev, c);
        Plain::template forward<T>(a, h_prev, c, h, nullptr);
        if constexpr (Cell::has_cell) {
            sum_c += c;
            store(at + v * stride, a[Plain::o]);
            store(at + v * stride + W, c);
        } else {
            after(v, h, c);
        }
    }
    if (saved != nullptr) {
        saved[V * slots * W + Cell::scale_x] = scale_x;
        saved[V * slots * W + Cell::scale_h] = scale_h;
    }
    if constexpr (Cell::has_cell) {
        // h = o tanh(LN(c))
        const T units = static_cast<T>(shape.H), mean = sum_of_lanes(sum_c) / units;
        const Vec<T> mean_c = broadcast(mean);
        Vec<T> squares_c{};
        for (Index v = 0; v < V; ++v) {
            const Vec<T> from_c = shape.used(v, load<T>(at + v * stride + W) - mean_c);
            squares_c = fma(from_c, from_c, squares_c);
        }
        const T scale = norm_scale<T>(squares_c, units);
        for (Index v = 0; v < V; ++v) {
            const T* packed = norm + v * Cell::norm_count * W;
            const Vec<T> o = load<T>(at + v * stride), c = load<T>(at + v * stride + W);
            const Vec<T> unit = (c - mean_c) * broadcast(scale);
            after(v, o * tanh<T>(fma(load(packed + Cell::gain_c * W), unit, load(packed + Cell::shift_c * W))), c);
        }
        if (saved != nullptr) {
            saved[V * slots * W + Cell::mean_of_c] = mean;
            saved[V * slots * W + Cell::scale_of_c] = scale;
        }
    }
}

}  // namespace throughtime::THROUGHTIME_ISA

// The one product kernel: a tile of rows times a few vectors of outputs, all sums in registers.
//
// Each output is one chain of multiply-adds over k = 0, 1, ...; tile sizes never change its order, so they may be chosen
// for speed alone. On two 256-bit multiply-add pipes of 4 cycles, 4 vectors of 64 bytes must be in flight; a tile has up
// to 24, and reads 4 weight vectors and 6 broadcast values for 24 multiply-adds.
#pragma once

#include "vec.h"

namespace throughtime::THROUGHTIME_ISA {

// Most rows of a tile with `columns` accumulators a row that fit in the registers.
constexpr int tile_rows(int columns) {
#if THROUGHTIME_REGISTERS >= 32
    return columns >= 4 ? 24 / columns : 8;
#else
    return columns >= 4 ? 12 / columns : columns == 3 ? 4 : columns == 2 ? 6 : 8;
#endif
}

// The k of a row of the left factor: `outer` x `inner` runs of `run` contiguous values (`last_run` in the last outer
// round), the starts `outer_stride` and `inner_stride` apart.
struct Span {
    Index outer, inner, run, last_run, outer_stride, inner_stride;
};

constexpr Span contiguous(Index k) { return {1, 1, k, k, 0, 0}; }

// The right factor: for each term k, G vectors at w + k * k_stride (+ u * u_stride for the u-th group).
template <class F>
struct Right {
    const Term<F>* w;
    Index k_stride, u_stride;
};

// Where sums start (null: at zero) and end: row i, group u, vector g at p + i * row_stride + u * u_stride + g * lanes.
template <class T>
struct Sums {
    const T* start;
    Index start_row_stride, start_u_stride;
    T* end;
    Index end_row_stride, end_u_stride;
};

template <class F, int G, int U, int M>
struct Accumulators {
    using T = Real<F>;
    Vec<T> v[M][U][G];

    THROUGHTIME_INLINE void start(const Sums<T>& sums) {
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) {
#pragma GCC unroll 4
            for (int u = 0; u < U; ++u) {
#pragma GCC unroll 4
                for (int g = 0; g < G; ++g) {
                    v[i][u][g] =
                        sums.start == nullptr
                            ? Vec<T>{}
                            : load(sums.start + i * sums.start_row_stride + u * sums.start_u_stride + g * lanes<T>);
                }
            }
        }
    }

    // One k: value(i) is row i's term.
    template <class Value>
    THROUGHTIME_INLINE void add(const Term<F>* w, Index u_stride, Value value) {
        decltype(load_terms(w)) right[U][G];
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
#pragma GCC unroll 4
            for (int g = 0; g < G; ++g) right[u][g] = load_terms(w + u * u_stride + g * lanes<T>);
        }
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) {
            const auto left = broadcast_term(value(i));
#pragma GCC unroll 4
            for (int u = 0; u < U; ++u) {
#pragma GCC unroll 4
                for (int g = 0; g < G; ++g) v[i][u][g] = multiply_add(left, right[u][g], v[i][u][g]);
            }
        }
    }

    template <bool add_to_end>
    THROUGHTIME_INLINE void end(const Sums<T>& sums) const {
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) {
#pragma GCC unroll 4
            for (int u = 0; u < U; ++u) {
#pragma GCC unroll 4
                for (int g = 0; g < G; ++g) {
                    T* p = sums.end + i * sums.end_row_stride + u * sums.end_u_stride + g * lanes<T>;
                    store(p, add_to_end ? load(static_cast<const T*>(p)) + v[i][u][g] : v[i][u][g]);
                }
            }
        }
    }
};

// Rows given by pointers: out_i = start_i + sum over k of rows[i][k] w[k].
template <class F, int G, int U, int M>
[[gnu::noinline]] void multiply_rows(const F* const* rows, const Span& span, Right<F> right,
                                     const Sums<Real<F>>& sums) {
    Accumulators<F, G, U, M> acc;
    acc.start(sums);
    const Term<F>* w = right.w;
    const F* left[M];
    for (Index a = 0; a < span.outer; ++a) {
        const Index run = a + 1 == span.outer ? span.last_run : span.run;
        for (Index b = 0; b < span.inner; ++b) {
#pragma GCC unroll 8
            for (int i = 0; i < M; ++i) left[i] = rows[i] + a * span.outer_stride + b * span.inner_stride;
            for (Index k = 0; k < run / term_size<F>; ++k) {
                acc.add(w, right.u_stride, [&](int i) { return term(left[i], k); });
                w += right.k_stride;
            }
            if constexpr (term_size<F> > 1) {
                if (run % term_size<F> != 0) {
                    acc.add(w, right.u_stride, [&](int i) { return last_term(left[i], run / term_size<F>); });
                    w += right.k_stride;
                }
            }
        }
    }
    acc.template end<false>(sums);
}

// Rows packed side by side, P apart: out_i += sum over terms k of left[k P + i] w[k].
template <class F, int G, int U, int M, int P>
[[gnu::noinline]] void multiply_packed(const Term<F>* left, Index count, Right<F> right, const Sums<Real<F>>& sums) {
    Accumulators<F, G, U, M> acc;
    acc.start({});
    const Term<F>* w = right.w;
    for (Index k = 0; k < count; ++k) {
        acc.add(w, right.u_stride, [&](int i) { return left[k * P + i]; });
        w += right.k_stride;
    }
    acc.template end<true>(sums);
}

// Tiles of a run of `count` rows: as few as the registers allow, of nearly equal sizes.
struct Tiles {
    Index count, number;
    constexpr Tiles(Index rows, int most) : count(rows), number((rows + most - 1) / most) {}
    constexpr Index begin(Index tile) const { return count * tile / number; }
};

template <class F, int G, int U, int M>
THROUGHTIME_INLINE void multiply_rows_of(int m, const F* const* rows, const Span& span, const Right<F>& right,
                                         const Sums<Real<F>>& sums) {
    if constexpr (M > 1) {
        if (m < M) {
            multiply_rows_of<F, G, U, M - 1>(m, rows, span, right, sums);
            return;
        }
    }
    multiply_rows<F, G, U, M>(rows, span, right, sums);
}

template <class F, int G, int U, int M, int P>
THROUGHTIME_INLINE void multiply_packed_of(int m, const Term<F>* left, Index count, const Right<F>& right,
                                           const Sums<Real<F>>& sums) {
    if constexpr (M > 1) {
        if (m < M) {
            multiply_packed_of<F, G, U, M - 1, P>(m, left, count, right, sums);
            return;
        }
    }
    multiply_packed<F, G, U, M, P>(left, count, right, sums);
}

// Calls body(Int<U>, v) for v0 <= v < v1 in groups of `Most` unit vectors, and of what is left in the end.
template <int Most, class Body>
THROUGHTIME_INLINE void by_units(Index v0, Index v1, Body body) {
    Index v = v0;
    for (; v + Most <= v1; v += Most) body(Int<Most>{}, v);
    if constexpr (Most > 3) {
        if (v + 3 <= v1) {
            body(Int<3>{}, v);
            return;
        }
    }
    if constexpr (Most > 2) {
        if (v + 2 <= v1) {
            body(Int<2>{}, v);
            return;
        }
    }
    if constexpr (Most > 1) {
        if (v + 1 <= v1) body(Int<1>{}, v);
    }
}

}  // namespace throughtime::THROUGHTIME_ISA

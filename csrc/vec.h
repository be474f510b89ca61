// One vector register of T, the same operations for every instruction set. Included once per instruction set, inside
// translation units compiled for it; THROUGHTIME_ISA names the namespace, so that no two sets share a function.
//
// Nothing here or in the kernels uses the standard library's templates: the linker keeps one copy of an inline
// function, and a copy compiled for a newer processor would end up in every older one's path.
#pragma once

#include <cstring>

#include "calls.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__) && !defined(THROUGHTIME_NARROW)
#define THROUGHTIME_VECTOR_BYTES 64
#define THROUGHTIME_REGISTERS 32
#elif defined(__AVX2__)
#define THROUGHTIME_VECTOR_BYTES 32
#if defined(__AVX512VL__)
#define THROUGHTIME_REGISTERS 32
#else
#define THROUGHTIME_REGISTERS 16
#endif
#elif defined(__aarch64__)
#define THROUGHTIME_VECTOR_BYTES 16
#define THROUGHTIME_REGISTERS 32
#else
#define THROUGHTIME_VECTOR_BYTES 16
#define THROUGHTIME_REGISTERS 16
#endif

#define THROUGHTIME_INLINE [[gnu::always_inline]] inline

namespace throughtime::THROUGHTIME_ISA {

template <class T>
struct Simd;

template <>
struct Simd<float> {
    typedef float V __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    typedef int32_t Int __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    typedef uint32_t Bits __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    typedef int32_t Draws __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    static constexpr int W = THROUGHTIME_VECTOR_BYTES / sizeof(float);
};

template <>
struct Simd<double> {
    typedef double V __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    typedef int64_t Int __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    typedef uint32_t Bits __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES / 2)));
    typedef int32_t Draws __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES / 2)));
    static constexpr int W = THROUGHTIME_VECTOR_BYTES / sizeof(double);
};

// Values that are bfloat16 in memory are float32 in registers.
template <>
struct Simd<BFloat16> : Simd<float> {
    typedef uint16_t Half __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES / 2)));
    typedef uint32_t Word __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
};

template <class T>
inline constexpr bool is_bfloat16 = false;
template <>
inline constexpr bool is_bfloat16<BFloat16> = true;

// What a product takes from its left rows: bfloat16 where the instruction set multiplies it, else T widened.
template <class T>
struct FactorOf {
    using type = Real<T>;
};
#if defined(__AVX512BF16__)
template <>
struct FactorOf<BFloat16> {
    using type = BFloat16;
};
#endif
template <class T>
using Factor = typename FactorOf<T>::type;

// What one multiply-add takes of a row's factors: `term_size` neighbours. A pair lies in memory as in the row, the
// first in the lower half (x86 is little-endian).
template <class F>
struct TermOf {
    using type = F;
};
template <>
struct TermOf<BFloat16> {
    using type = uint32_t;
};
template <class F>
using Term = typename TermOf<F>::type;
template <class F>
inline constexpr Index term_size = is_bfloat16<F> ? 2 : 1;

// Terms of a row of n factors; the second half of an odd row's last one is zero.
template <class F>
constexpr Index terms(Index n) {
    return (n + term_size<F> - 1) / term_size<F>;
}

template <class T>
using Vec = typename Simd<T>::V;

template <class T>
inline constexpr int lanes = Simd<T>::W;

// The nearest bfloat16 of each lane, ties to even; NaN stays NaN.
THROUGHTIME_INLINE Simd<BFloat16>::Half narrow(Vec<float> v) {
    Simd<BFloat16>::Half half;
#if defined(__AVX512BF16__)
    const auto nearest = _mm512_cvtneps_pbh(v);
    std::memcpy(&half, &nearest, sizeof(half));
#else
    using Word = Simd<BFloat16>::Word;
    Word bits;
    std::memcpy(&bits, &v, sizeof(bits));
    const Word rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    half = __builtin_convertvector(v == v ? rounded : (bits >> 16 | 0x40u), Simd<BFloat16>::Half);
#endif
    return half;
}

THROUGHTIME_INLINE Vec<float> widen(Simd<BFloat16>::Half half) {
    const auto bits = __builtin_convertvector(half, Simd<BFloat16>::Word) << 16;
    Vec<float> v;
    std::memcpy(&v, &bits, sizeof(v));
    return v;
}

template <class T>
THROUGHTIME_INLINE Vec<T> load(const T* p) {
    if constexpr (is_bfloat16<T>) {
        Simd<BFloat16>::Half half;
        std::memcpy(&half, p, sizeof(half));
        return widen(half);
    } else {
        Vec<T> v;
        std::memcpy(&v, p, sizeof(v));
        return v;
    }
}

template <class T>
THROUGHTIME_INLINE void store(T* p, Vec<T> v) {
    if constexpr (is_bfloat16<T>) {
        const auto half = narrow(v);
        std::memcpy(p, &half, sizeof(half));
    } else {
        std::memcpy(p, &v, sizeof(v));
    }
}

// v as memory of type T gives it back.
template <class T>
THROUGHTIME_INLINE Vec<T> rounded(Vec<T> v) {
    if constexpr (is_bfloat16<T>) {
        return widen(narrow(v));
    } else {
        return v;
    }
}

THROUGHTIME_INLINE float real(float x) { return x; }
THROUGHTIME_INLINE double real(double x) { return x; }
THROUGHTIME_INLINE float real(BFloat16 x) {
    const uint32_t bits = uint32_t{x.bits} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
}

template <class T>
THROUGHTIME_INLINE Vec<T> broadcast(T x) {
    return x - Vec<T>{};
}

// The first n lanes from p (nothing beyond is read), zeros after; and the first n lanes to p, nothing beyond is written.
#if THROUGHTIME_VECTOR_BYTES == 64
THROUGHTIME_INLINE Vec<float> load_first(const float* p, Index n) {
    return n >= lanes<float> ? load(p) : _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
THROUGHTIME_INLINE Vec<double> load_first(const double* p, Index n) {
    return n >= lanes<double> ? load(p) : _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
}
THROUGHTIME_INLINE void store_first(float* p, Vec<float> v, Index n) {
    if (n >= lanes<float>) {
        store(p, v);
    } else {
        _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
    }
}
THROUGHTIME_INLINE void store_first(double* p, Vec<double> v, Index n) {
    if (n >= lanes<double>) {
        store(p, v);
    } else {
        _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), v);
    }
}
#elif defined(__AVX2__)
// Lane i of the mask is all ones where i < n.
THROUGHTIME_INLINE __m256i first_lanes(Index n, float) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
THROUGHTIME_INLINE __m256i first_lanes(Index n, double) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
THROUGHTIME_INLINE Vec<float> load_first(const float* p, Index n) {
    return n >= lanes<float> ? load(p) : _mm256_maskload_ps(p, first_lanes(n, float{}));
}
THROUGHTIME_INLINE Vec<double> load_first(const double* p, Index n) {
    return n >= lanes<double> ? load(p) : _mm256_maskload_pd(p, first_lanes(n, double{}));
}
THROUGHTIME_INLINE void store_first(float* p, Vec<float> v, Index n) {
    if (n >= lanes<float>) {
        store(p, v);
    } else {
        _mm256_maskstore_ps(p, first_lanes(n, float{}), v);
    }
}
THROUGHTIME_INLINE void store_first(double* p, Vec<double> v, Index n) {
    if (n >= lanes<double>) {
        store(p, v);
    } else {
        _mm256_maskstore_pd(p, first_lanes(n, double{}), v);
    }
}
#else
template <class T>
THROUGHTIME_INLINE Vec<T> load_first(const T* p, Index n) {
    if (n >= lanes<T>) return load(p);
    T padded[lanes<T>] = {};
    for (Index i = 0; i < n; ++i) padded[i] = p[i];
    return load(static_cast<const T*>(padded));
}
template <class T>
THROUGHTIME_INLINE void store_first(T* p, Vec<T> v, Index n) {
    if (n >= lanes<T>) {
        store(p, v);
        return;
    }
    T all[lanes<T>];
    store(all, v);
    for (Index i = 0; i < n; ++i) p[i] = all[i];
}
#endif

THROUGHTIME_INLINE Vec<float> load_first(const BFloat16* p, Index n) {
    if (n >= lanes<float>) return load(p);
#if THROUGHTIME_VECTOR_BYTES == 64
    const __m256i part = _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
#else
    Simd<BFloat16>::Half part = {};
    std::memcpy(&part, p, static_cast<std::size_t>(n) * sizeof(*p));
#endif
    Simd<BFloat16>::Half half;
    std::memcpy(&half, &part, sizeof(half));
    return widen(half);
}
THROUGHTIME_INLINE void store_first(BFloat16* p, Vec<float> v, Index n) {
    if (n >= lanes<float>) {
        store(p, v);
        return;
    }
    const Simd<BFloat16>::Half half = narrow(v);
#if THROUGHTIME_VECTOR_BYTES == 64
    __m256i part;
    std::memcpy(&part, &half, sizeof(part));
    _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), part);
#else
    std::memcpy(p, &half, static_cast<std::size_t>(n) * sizeof(*p));
#endif
}

// a*b + c, rounded once where the instruction set has it (all but x86-64-v2, which rounds twice, always).
#if THROUGHTIME_VECTOR_BYTES == 64
THROUGHTIME_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm512_fmadd_ps(a, b, c); }
THROUGHTIME_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__AVX2__) && defined(__FMA__)
THROUGHTIME_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm256_fmadd_ps(a, b, c); }
THROUGHTIME_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm256_fmadd_pd(a, b, c); }
#elif defined(__aarch64__)
THROUGHTIME_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return vfmaq_f32(c, a, b); }
THROUGHTIME_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return vfmaq_f64(c, a, b); }
#else
THROUGHTIME_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
THROUGHTIME_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
#endif

// Term k of a row, and the last one of a row that ends within it.
template <class F>
THROUGHTIME_INLINE Term<F> term(const F* row, Index k) {
    if constexpr (is_bfloat16<F>) {
        Term<F> pair;
        std::memcpy(&pair, row + 2 * k, sizeof(pair));
        return pair;
    } else {
        return row[k];
    }
}

template <class F>
THROUGHTIME_INLINE Term<F> last_term(const F* row, Index k) {
    static_assert(term_size<F> == 2);
    return row[2 * k].bits;
}

// Term k of a row of n values, which are T in memory and F in a product.
template <class F, class T>
THROUGHTIME_INLINE Term<F> term_of(const T* row, Index k, Index n) {
    if constexpr (is_bfloat16<F>) {
        return 2 * k + 1 < n ? term(row, k) : last_term(row, k);
    } else {
        return real(row[k]);
    }
}

// A vector of terms, or one term in every lane; and sum + the products of two of them. How a pair's two products are
// rounded and ordered is the instruction's own, the same in every lane.
THROUGHTIME_INLINE Vec<float> load_terms(const float* p) { return load(p); }
THROUGHTIME_INLINE Vec<double> load_terms(const double* p) { return load(p); }
THROUGHTIME_INLINE Vec<float> broadcast_term(float x) { return broadcast(x); }
THROUGHTIME_INLINE Vec<double> broadcast_term(double x) { return broadcast(x); }
THROUGHTIME_INLINE Vec<float> multiply_add(Vec<float> a, Vec<float> b, Vec<float> sum) { return fma(a, b, sum); }
THROUGHTIME_INLINE Vec<double> multiply_add(Vec<double> a, Vec<double> b, Vec<double> sum) { return fma(a, b, sum); }
#if defined(__AVX512BF16__)
THROUGHTIME_INLINE __m512i load_terms(const uint32_t* p) { return _mm512_loadu_si512(p); }
THROUGHTIME_INLINE __m512i broadcast_term(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
THROUGHTIME_INLINE Vec<float> multiply_add(__m512i a, __m512i b, Vec<float> sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
#endif

// W terms whose halves are first[i] and second[i]; the n-th and later ones are zero, and so are a null row's halves.
THROUGHTIME_INLINE void store_pairs(uint32_t* to, const BFloat16* first, const BFloat16* second, Index n) {
    using Word = Simd<BFloat16>::Word;
    const auto halves = [n](const BFloat16* p) {
        Simd<BFloat16>::Half half = {};
        const std::size_t used = n >= lanes<float> ? sizeof(half) : static_cast<std::size_t>(n) * sizeof(*p);
        if (p != nullptr) std::memcpy(&half, p, used);
        return __builtin_convertvector(half, Word);
    };
    const Word pairs = halves(first) | halves(second) << 16;
    std::memcpy(to, &pairs, sizeof(pairs));
}

// A compile-time number as an argument.
template <int N>
struct Int {
    static constexpr int value = N;
};

}  // namespace throughtime::THROUGHTIME_ISA

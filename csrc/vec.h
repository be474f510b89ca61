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

#if defined(__AVX512F__)
#define THROUGHTIME_VECTOR_BYTES 64
#define THROUGHTIME_REGISTERS 32
#elif defined(__AVX2__)
#define THROUGHTIME_VECTOR_BYTES 32
#define THROUGHTIME_REGISTERS 16
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
    static constexpr int W = THROUGHTIME_VECTOR_BYTES / sizeof(float);
};

template <>
struct Simd<double> {
    typedef double V __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    typedef int64_t Int __attribute__((vector_size(THROUGHTIME_VECTOR_BYTES)));
    static constexpr int W = THROUGHTIME_VECTOR_BYTES / sizeof(double);
};

template <class T>
using Vec = typename Simd<T>::V;

template <class T>
inline constexpr int lanes = Simd<T>::W;

template <class T>
THROUGHTIME_INLINE Vec<T> load(const T* p) {
    Vec<T> v;
    std::memcpy(&v, p, sizeof(v));
    return v;
}

template <class T>
THROUGHTIME_INLINE void store(T* p, Vec<T> v) {
    std::memcpy(p, &v, sizeof(v));
}

template <class T>
THROUGHTIME_INLINE Vec<T> broadcast(T x) {
    return x - Vec<T>{};
}

// The first n lanes from p (nothing beyond is read), zeros after.
template <class T>
THROUGHTIME_INLINE Vec<T> load_first(const T* p, Index n) {
    if (n >= lanes<T>) return load(p);
    T padded[lanes<T>] = {};
    for (Index i = 0; i < n; ++i) padded[i] = p[i];
    return load(padded);
}

// The first n lanes to p, nothing beyond is written.
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

// a*b + c, rounded once where the instruction set has it (all but x86-64-v2, which rounds twice, always).
#if defined(__AVX512F__)
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

// A compile-time number as an argument.
template <int N>
struct Int {
    static constexpr int value = N;
};

}  // namespace throughtime::THROUGHTIME_ISA

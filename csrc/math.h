// Vector sigmoid and tanh. Largest errors where the result is a normal number, every instruction set: sigmoid 2.5 ulp,
// tanh 2.6 ulp; tests/kernels/test_native_math.py holds both under 3. Limits are exact (0, 1, -1), tanh(-0) is +0, NaN
// stays NaN, and a lane's bits do not depend on its place.
#pragma once

#include "vec.h"

namespace throughtime::THROUGHTIME_ISA {

// e^r - 1 = r + r^2 (q0 + q1 r + ...) for |r| <= ln(2)/2: interpolation at Chebyshev nodes of |r| <= 0.3475.
template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
    static constexpr int mantissa_bits = 23;
    static constexpr int32_t one = 0x3f800000;
    static constexpr float round_to_integer = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
    static constexpr float log2_e = 1.44269504f;
    // ln 2 in two parts; the first has 9 significant bits, so that its product with an exponent is exact.
    static constexpr float ln2_high = 0.693359375f;
    static constexpr float ln2_low = -2.12194440e-4f;
    static constexpr float lowest = -87.0f;  // 2^-126 is the smallest scale that is a normal number
    // Above 127.5 ln 2 the scale is 2^128, infinity. With m < 0 the product would be NaN, so that all goes to a place
    // where m > 0.
    static constexpr float last_finite = 88.376f;
    static constexpr float highest = 89.0f;
    static constexpr float one_below = 20.0f;  // tanh(x) rounds to 1 for 2x beyond it
    // Relative error of the polynomial: 2.5e-8.
    static constexpr float q[] = {0.5f, 0.1666657606f, 0.04166655346f, 0.008363333082f, 0.0013926376f};
};

template <>
struct ExpConstants<double> {
    static constexpr int mantissa_bits = 52;
    static constexpr int64_t one = 0x3ff0000000000000;
    static constexpr double round_to_integer = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double log2_e = 1.4426950408889634;
    static constexpr double ln2_high = 0.693147180369123816490;  // 32 significant bits
    static constexpr double ln2_low = 1.90821492927058770002e-10;
    static constexpr double lowest = -708.0;
    static constexpr double last_finite = 709.436;  // below 1023.5 ln 2
    static constexpr double highest = 710.0;
    static constexpr double one_below = 40.0;
    // Relative error of the polynomial: 5.7e-19.
    static constexpr double q[] = {0.5,
                                   0.16666666666666671103,
                                   0.041666666666666669835,
                                   0.0083333333333259855701,
                                   0.0013888888888883641505,
                                   0.00019841269875342142162,
                                   0.000024801587325920161742,
                                   2.7557254740405415099e-6,
                                   2.7557273171941027719e-7,
                                   2.5105490906986695456e-8,
                                   2.0914882563485069504e-9};
};

// x limited to [low, high]; NaN passes (both comparisons are false).
template <class T>
THROUGHTIME_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {
    const Vec<T> lo = broadcast(low), hi = broadcast(high);
    x = x > hi ? hi : x;
    return x < lo ? lo : x;
}

// e^x = scale * (1 + m) with scale a power of two and |m| < 0.42, for x within [lowest, highest] or NaN.
template <class T>
THROUGHTIME_INLINE void split_exp(Vec<T> x, Vec<T>& scale, Vec<T>& m) {
    using C = ExpConstants<T>;
    using IntVec = typename Simd<T>::Int;
    const Vec<T> magic = broadcast(C::round_to_integer);
    const Vec<T> shifted = fma(x, broadcast(C::log2_e), magic);
    const Vec<T> n = shifted - magic;
    Vec<T> r = fma(n, broadcast(-C::ln2_high), x);
    r = fma(n, broadcast(-C::ln2_low), r);
    constexpr int degree = sizeof(C::q) / sizeof(T) - 1;
    Vec<T> q = broadcast(C::q[degree]);
#pragma GCC unroll 16
    for (int i = degree - 1; i >= 0; --i) q = fma(q, r, broadcast(C::q[i]));
    m = fma(q, r * r, r);
    IntVec bits;
    std::memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits << C::mantissa_bits) + C::one;
    std::memcpy(&scale, &bits, sizeof(bits));
}

// 1 / (1 + e^-x)
template <class T>
THROUGHTIME_INLINE Vec<T> sigmoid(Vec<T> x) {
    using C = ExpConstants<T>;
    Vec<T> scale, m, y = -x;
    y = y > broadcast(C::last_finite) ? broadcast(C::highest) : y;
    y = y < broadcast(C::lowest) ? broadcast(C::lowest) : y;
    split_exp<T>(y, scale, m);
    return broadcast(T{1}) / (broadcast(T{1}) + fma(scale, m, scale));
}

// (e^2x - 1) / (e^2x + 1), with e^2x - 1 formed without cancellation so that small x keep their relative accuracy.
template <class T>
THROUGHTIME_INLINE Vec<T> tanh(Vec<T> x) {
    using C = ExpConstants<T>;
    Vec<T> scale, m;
    split_exp<T>(clamp<T>(x + x, -C::one_below, C::one_below), scale, m);
    const Vec<T> minus_one = fma(scale, m, scale - broadcast(T{1}));
    return minus_one / (minus_one + broadcast(T{2}));
}

}  // namespace throughtime::THROUGHTIME_ISA

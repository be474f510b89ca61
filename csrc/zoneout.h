// Zoneout on one vector of units: what is kept of the old value, forward and backward.
#pragma once

#include "arena.h"
#include "masks.h"
#include "vec.h"

namespace throughtime::THROUGHTIME_ISA {

// The draws of unit vector v: whole numbers below 2^24, one a lane.
template <class T>
THROUGHTIME_INLINE typename Simd<T>::Draws draw(MaskWords words, Index v) {
    using Bits = typename Simd<T>::Bits;
    static constexpr uint32_t unit[16] = {
        0,
        mask_unit * 1,
        mask_unit * 2,
        mask_unit * 3,
        mask_unit * 4,
        mask_unit * 5,
        mask_unit * 6,
        mask_unit * 7,
        mask_unit * 8,
        mask_unit * 9,
        mask_unit * 10,
        mask_unit * 11,
        mask_unit * 12,
        mask_unit * 13,
        mask_unit * 14,
        mask_unit * 15,
    };
    static_assert(lanes<T> <= 16);
    Bits x;
    std::memcpy(&x, unit, sizeof(x));
    x += static_cast<uint32_t>(v * lanes<T>) * mask_unit + words.a;
    x ^= x >> 16;
    x = x * mask_first ^ words.b;
    x ^= x >> 15;
    x *= mask_second;
    x ^= x >> 15;
    return __builtin_convertvector(x >> 8, typename Simd<T>::Draws);
}

// Of one row at one time: h' = keeps ? h : (the cell's own new h), or their mean in evaluation. T is what is computed in.
template <class T>
struct Zone {
    MaskWords words;
    int32_t below;  // 0 where nothing is drawn
    T keep;         // the share of the old value where nothing is drawn

    THROUGHTIME_INLINE Vec<T> blend(Index v, Vec<T> old_value, Vec<T> new_value) const {
        if (below > 0) return kept(v) ? old_value : new_value;
        if (keep == T{0}) return new_value;
        return fma(broadcast(keep), old_value, broadcast(T{1} - keep) * new_value);
    }

    // The gradient of the blend: what the new value gets stays in `d`, what the old one gets is returned.
    THROUGHTIME_INLINE Vec<T> split(Index v, Vec<T>& d) const {
        const Vec<T> whole = d, zero = {};
        if (below > 0) {
            const auto is_kept = kept(v);
            d = is_kept ? zero : whole;
            return is_kept ? whole : zero;
        }
        if (keep == T{0}) return zero;
        d = broadcast(T{1} - keep) * whole;
        return broadcast(keep) * whole;
    }

private:
    THROUGHTIME_INLINE typename Simd<T>::Int kept(Index v) const {
        return __builtin_convertvector(draw<T>(words, v) < below, typename Simd<T>::Int);
    }
};

// Makes the zones of a sequence's rows and times.
template <class T>
class Zones {
public:
    Zones(const Inputs<T>& in, Arena& arena) : zoneout_(in.zoneout) {
        if (zoneout_.mode != ZoneoutMode::random) return;
        const MaskKind kinds[] = {MaskKind::zoneout_h, MaskKind::zoneout_c};
        for (int k = 0; k < 2; ++k) {
            const MaskWords words = stream_words(zoneout_.seed, zoneout_.stream, kinds[k]);
            row_[k] = arena.get<MaskWords>(in.B);
            time_[k] = arena.get<MaskWords>(in.T_);
            for (Index b = 0; b < in.B; ++b) row_[k][b] = row_words(words, b);
            for (Index t = 0; t < in.T_; ++t) time_[k][t] = time_words(words, zoneout_.step0 + t);
        }
    }

    bool on() const { return zoneout_.mode != ZoneoutMode::off; }
    THROUGHTIME_INLINE Zone<Real<T>> of_h(Index b, Index t) const { return zone(0, zoneout_.h, b, t); }
    THROUGHTIME_INLINE Zone<Real<T>> of_c(Index b, Index t) const { return zone(1, zoneout_.c, b, t); }

private:
    THROUGHTIME_INLINE Zone<Real<T>> zone(int k, double p, Index b, Index t) const {
        if (zoneout_.mode != ZoneoutMode::random) return {{0, 0}, 0, static_cast<Real<T>>(p)};
        return {row_[k][b].at(time_[k][t]), below_[k], Real<T>{0}};
    }

    const Zoneout& zoneout_;
    MaskWords *row_[2] = {}, *time_[2] = {};  // row_: [B], time_: [T]; of h and of c
    const int32_t below_[2] = {mask_threshold(zoneout_.h), mask_threshold(zoneout_.c)};
};

}  // namespace throughtime::THROUGHTIME_ISA

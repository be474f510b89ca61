// The random masks of dropout and zoneout: a hash of counters, so that any thread, chunk or second computation finds the
// same ones without storing them. The arithmetic is of 32-bit words whose products stay below 2^63: torch's int64
// computes the same ones (throughtime/kernels/masks.py), and a vector register multiplies them.
#pragma once

#include "calls.h"

namespace throughtime {

// What a mask is for: masks of different kinds are independent.
enum class MaskKind : int { recurrent, weight, zoneout_h, zoneout_c };

// Two words that a draw is made from: those of a row and of a time, put together.
struct MaskWords {
    uint32_t a, b;
    // The words of a row at a time.
    [[gnu::always_inline]] MaskWords at(MaskWords time) const { return {a + time.a, b ^ time.b}; }
};

MaskWords stream_words(uint64_t seed, int64_t stream, MaskKind kind);
MaskWords row_words(MaskWords stream, int64_t row);
MaskWords time_words(MaskWords stream, int64_t time);

// Draws are whole numbers below 2^24; an element is dropped where its draw is below this.
int32_t mask_threshold(double p);

// mask: [rows,columns] 0 with probability p, else 1 / (1 - p); all 0 for p = 1.
template <class T>
void fill_mask(uint64_t seed, int64_t stream, MaskKind kind, double p, Index rows, Index columns, T* mask);

// The constants of a draw; see `draw` in csrc/zoneout.h and `_draw` in throughtime/kernels/masks.py.
inline constexpr uint32_t mask_unit = 0x9e3779b1u, mask_first = 0x21f0aaadu, mask_second = 0x735a2d97u;

}  // namespace throughtime

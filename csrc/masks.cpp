#include "masks.h"

#include <cmath>

namespace throughtime {

namespace {

uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= mask_first;
    x ^= x >> 15;
    x *= mask_second;
    return x ^ x >> 15;
}

MaskWords fold(MaskWords words, int64_t number) {
    const uint32_t n = static_cast<uint32_t>(number);
    return {mix(words.a ^ n), mix(words.b ^ n)};
}

}  // namespace

MaskWords stream_words(uint64_t seed, int64_t stream, MaskKind kind) {
    const uint32_t low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
    const MaskWords both{mix(mix(low ^ 0x243f6a88u) ^ high), mix(mix(high ^ 0x13198a2eu) ^ low)};
    return fold(both, 4 * stream + static_cast<int>(kind) + 1);
}

MaskWords row_words(MaskWords stream, int64_t row) { return fold(stream, row); }

MaskWords time_words(MaskWords stream, int64_t time) { return fold(fold(stream, 0x24093822), time); }

int32_t mask_threshold(double p) { return static_cast<int32_t>(std::floor(p * 16777216.0 + 0.5)); }

template <class T>
void fill_mask(uint64_t seed, int64_t stream, MaskKind kind, double p, Index rows, Index columns, T* mask) {
    const MaskWords words = stream_words(seed, stream, kind), start = time_words(words, 0);
    const T kept = p < 1 ? static_cast<T>(1 / (1 - p)) : T{0};
    const int32_t below = mask_threshold(p);
    for (Index row = 0; row < rows; ++row) {
        const MaskWords at = row_words(words, row).at(start);
        T* to = mask + row * columns;
        for (Index i = 0; i < columns; ++i) {
            uint32_t x = static_cast<uint32_t>(i) * mask_unit + at.a;
            x ^= x >> 16;
            x = x * mask_first ^ at.b;
            x ^= x >> 15;
            x *= mask_second;
            x ^= x >> 15;
            to[i] = static_cast<int32_t>(x >> 8) < below ? T{0} : kept;
        }
    }
}

template void fill_mask<float>(uint64_t, int64_t, MaskKind, double, Index, Index, float*);
template void fill_mask<double>(uint64_t, int64_t, MaskKind, double, Index, Index, double*);

}  // namespace throughtime

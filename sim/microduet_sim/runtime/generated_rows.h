// Table rows computed from (seed, table, row, column), so that a table of any size opens at once.
//
// The rule is one of two implementations; the other is the GeneratedEmbedding of the models.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace microduet {

// A signed number of 24 bits.
inline int32_t generated_hash(uint64_t seed, uint64_t table, uint64_t row, uint64_t column) {
    uint64_t z = seed * 0x9E3779B97F4A7C15ULL + table * 0xBF58476D1CE4E5B9ULL + row * 0x94D049BB133111EBULL +
                 column * 0xD6E8FEB86659FD93ULL;
    z ^= z >> 30;
    z *= 0xBF58476D1CE4E5B9ULL;
    z ^= z >> 27;
    z *= 0x94D049BB133111EBULL;
    z ^= z >> 31;
    return static_cast<int32_t>(z >> 40) - (1 << 23);
}

// saturate(round_half_even(hash * 2^(fraction - 23 - amplitude_log2))) to `width` bits.
inline int64_t generated_fixed(int32_t hash, int fraction, int amplitude_log2, int width) {
    const int shift = 23 + amplitude_log2 - fraction;
    const int64_t top = (1LL << (width - 1)) - 1;
    int64_t value = hash;
    if (shift > 62) return 0;
    if (shift < -32) return value > 0 ? top : value < 0 ? -top - 1 : 0;
    if (shift > 0) {
        const int64_t floor = value >> shift, rest = value - (floor << shift), half = 1LL << (shift - 1);
        value = floor + (rest > half || (rest == half && (floor & 1)));
    } else {
        value *= 1LL << -shift;
    }
    return std::clamp(value, -top - 1, top);
}

// clip(rint(hash * 2^(-23 - amplitude_log2) / scale) + 128, 0, 255).
inline int64_t generated_int8(int32_t hash, double scale, int amplitude_log2) {
    const double value = std::nearbyint(std::ldexp(static_cast<double>(hash), -23 - amplitude_log2) / scale) + 128;
    return static_cast<int64_t>(std::clamp(value, 0.0, 255.0));
}

}  // namespace microduet

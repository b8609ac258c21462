// A signal of many pairs at once: one 32-bit or 64-bit element ("lane") per pair, in one or two SIMD registers.
//
// Verilator's own C++ for a PePair is compiled with these types in place of its integers, so that each statement
// evaluates COUNT pairs. Signals that are the same in all pairs stay ordinary integers: a condition on one of them is
// an ordinary branch.
#pragma once

#include <cassert>
#include <cstdint>

namespace lanes {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int BYTES = 64;
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
constexpr int COUNT = BYTES / 4;

#define LANES_INLINE inline __attribute__((always_inline))

typedef uint32_t Words __attribute__((vector_size(BYTES)));
typedef int32_t SignedWords __attribute__((vector_size(BYTES)));
typedef uint64_t Doubles __attribute__((vector_size(BYTES)));
typedef int64_t SignedDoubles __attribute__((vector_size(BYTES)));

// Verilator's CData, SData, IData and EData: it computes all of them in 32 bits and masks by itself.
struct Lanes32 {
    Words v;

    Lanes32() = default;
    LANES_INLINE Lanes32(Words words) : v(words) {}
    LANES_INLINE Lanes32(uint32_t value) : v(Words{} + value) {}
    LANES_INLINE Lanes32(int value) : v(Words{} + static_cast<uint32_t>(value)) {}
    LANES_INLINE Lanes32(bool value) : v(Words{} + static_cast<uint32_t>(value)) {}
    Lanes32(uint64_t) = delete;  // Verilator narrows by an explicit cast

    LANES_INLINE uint32_t operator[](int lane) const { return v[lane]; }

    // A branch has to go the same way in all pairs.
    LANES_INLINE explicit operator bool() const {
#ifdef LANES_DEBUG
        for (int lane = 1; lane < COUNT; ++lane) assert(!v[lane] == !v[0]);
#endif
        return v[0] != 0;
    }

    friend LANES_INLINE Lanes32 operator+(Lanes32 a, Lanes32 b) { return a.v + b.v; }
    friend LANES_INLINE Lanes32 operator-(Lanes32 a, Lanes32 b) { return a.v - b.v; }
    friend LANES_INLINE Lanes32 operator*(Lanes32 a, Lanes32 b) { return a.v * b.v; }
    friend LANES_INLINE Lanes32 operator&(Lanes32 a, Lanes32 b) { return a.v & b.v; }
    friend LANES_INLINE Lanes32 operator|(Lanes32 a, Lanes32 b) { return a.v | b.v; }
    friend LANES_INLINE Lanes32 operator^(Lanes32 a, Lanes32 b) { return a.v ^ b.v; }
    friend LANES_INLINE Lanes32 operator<<(Lanes32 a, uint32_t bits) { return a.v << bits; }
    friend LANES_INLINE Lanes32 operator>>(Lanes32 a, uint32_t bits) { return a.v >> bits; }
    friend LANES_INLINE Lanes32 operator==(Lanes32 a, Lanes32 b) { return truth(a.v == b.v); }
    friend LANES_INLINE Lanes32 operator!=(Lanes32 a, Lanes32 b) { return truth(a.v != b.v); }
    friend LANES_INLINE Lanes32 operator<(Lanes32 a, Lanes32 b) { return truth(a.v < b.v); }
    friend LANES_INLINE Lanes32 operator<=(Lanes32 a, Lanes32 b) { return truth(a.v <= b.v); }
    friend LANES_INLINE Lanes32 operator>(Lanes32 a, Lanes32 b) { return truth(a.v > b.v); }
    friend LANES_INLINE Lanes32 operator>=(Lanes32 a, Lanes32 b) { return truth(a.v >= b.v); }
    LANES_INLINE Lanes32 operator~() const { return ~v; }
    LANES_INLINE Lanes32 operator-() const { return -v; }
    LANES_INLINE Lanes32 operator!() const { return truth(v == 0); }

    static LANES_INLINE Words truth(SignedWords mask) { return reinterpret_cast<Words>(mask) & 1; }
};

// Verilator's QData. Even and odd lanes apart: widening and narrowing are then shifts and masks, never shuffles.
struct Lanes64 {
    Doubles even, odd;

    Lanes64() = default;
    LANES_INLINE Lanes64(Doubles e, Doubles o) : even(e), odd(o) {}
    LANES_INLINE Lanes64(uint64_t value) : even(Doubles{} + value), odd(Doubles{} + value) {}
    LANES_INLINE Lanes64(unsigned long long value) : Lanes64(static_cast<uint64_t>(value)) {}
    LANES_INLINE Lanes64(uint32_t value) : Lanes64(static_cast<uint64_t>(value)) {}
    LANES_INLINE Lanes64(int value) : Lanes64(static_cast<uint64_t>(value)) {}
    LANES_INLINE Lanes64(bool value) : Lanes64(static_cast<uint64_t>(value)) {}
    LANES_INLINE explicit Lanes64(Lanes32 a)
        : even(reinterpret_cast<Doubles>(a.v) & 0xffffffffULL), odd(reinterpret_cast<Doubles>(a.v) >> 32) {}

    LANES_INLINE uint64_t operator[](int lane) const { return lane & 1 ? odd[lane >> 1] : even[lane >> 1]; }
    LANES_INLINE Lanes32 low() const {
        return reinterpret_cast<Words>((even & 0xffffffffULL) | (odd << 32));
    }
    LANES_INLINE Lanes32 high() const {
        return reinterpret_cast<Words>((even >> 32) | (odd & 0xffffffff00000000ULL));
    }
    static LANES_INLINE Lanes64 join(Lanes32 low, Lanes32 high) {
        const Doubles l = reinterpret_cast<Doubles>(low.v), h = reinterpret_cast<Doubles>(high.v);
        return {(l & 0xffffffffULL) | (h << 32), (l >> 32) | (h & 0xffffffff00000000ULL)};
    }
    LANES_INLINE explicit operator bool() const { return bool(low() | high()); }

    friend LANES_INLINE Lanes64 operator+(Lanes64 a, Lanes64 b) { return {a.even + b.even, a.odd + b.odd}; }
    friend LANES_INLINE Lanes64 operator-(Lanes64 a, Lanes64 b) { return {a.even - b.even, a.odd - b.odd}; }
    friend LANES_INLINE Lanes64 operator*(Lanes64 a, Lanes64 b) { return {a.even * b.even, a.odd * b.odd}; }
    friend LANES_INLINE Lanes64 operator&(Lanes64 a, Lanes64 b) { return {a.even & b.even, a.odd & b.odd}; }
    friend LANES_INLINE Lanes64 operator|(Lanes64 a, Lanes64 b) { return {a.even | b.even, a.odd | b.odd}; }
    friend LANES_INLINE Lanes64 operator^(Lanes64 a, Lanes64 b) { return {a.even ^ b.even, a.odd ^ b.odd}; }
    friend LANES_INLINE Lanes64 operator<<(Lanes64 a, uint32_t n) { return {a.even << n, a.odd << n}; }
    friend LANES_INLINE Lanes64 operator>>(Lanes64 a, uint32_t n) { return {a.even >> n, a.odd >> n}; }
    LANES_INLINE Lanes64 operator~() const { return {~even, ~odd}; }
    LANES_INLINE Lanes64 operator-() const { return {-even, -odd}; }
};

}  // namespace lanes

// The helpers that Verilator's code calls, for lanes and for the integers that all pairs share.
//
// Only what the generated code of a PePair uses: another helper is a compile error, never a wrong result.
#pragma once

#include <type_traits>

#include "wide.h"

namespace lanes {

template <typename T>
constexpr bool is_lanes = std::is_same_v<std::decay_t<T>, Lanes32> || std::is_same_v<std::decay_t<T>, Lanes64>;

LANES_INLINE uint32_t to_word(uint64_t a) { return static_cast<uint32_t>(a); }
LANES_INLINE uint32_t to_word(uint32_t a) { return a; }
LANES_INLINE uint32_t to_word(int a) { return static_cast<uint32_t>(a); }
LANES_INLINE uint32_t to_word(bool a) { return a; }
LANES_INLINE Lanes32 to_word(Lanes32 a) { return a; }
LANES_INLINE Lanes32 to_word(Lanes64 a) { return a.low(); }
LANES_INLINE uint64_t to_double(uint64_t a) { return a; }
LANES_INLINE uint64_t to_double(uint32_t a) { return a; }
LANES_INLINE uint64_t to_double(bool a) { return a; }
LANES_INLINE Lanes64 to_double(Lanes32 a) { return Lanes64(a); }
LANES_INLINE Lanes64 to_double(Lanes64 a) { return a; }

// Sign extension: `bits` is the width of the operand, whose upper bits are clear.
LANES_INLINE uint32_t extend_word(int bits, uint32_t a) {
    return static_cast<uint32_t>(static_cast<int32_t>(a << (32 - bits)) >> (32 - bits));
}
LANES_INLINE Lanes32 extend_word(int bits, Lanes32 a) {
    return reinterpret_cast<Words>(reinterpret_cast<SignedWords>(a.v << (32 - bits)) >> (32 - bits));
}
LANES_INLINE uint64_t extend_double(int bits, uint64_t a) {
    return static_cast<uint64_t>(static_cast<int64_t>(a << (64 - bits)) >> (64 - bits));
}
LANES_INLINE Doubles extend_half(int bits, Doubles a) {
#ifdef __AVX512F__
    return reinterpret_cast<Doubles>(reinterpret_cast<SignedDoubles>(a << (64 - bits)) >> (64 - bits));
#else  // no arithmetic shift of 64 bits
    const uint64_t sign = 1ULL << (bits - 1);
    return ((a & (2 * sign - 1)) ^ sign) - sign;
#endif
}
LANES_INLINE Lanes64 extend_double(int bits, Lanes64 a) { return {extend_half(bits, a.even), extend_half(bits, a.odd)}; }
LANES_INLINE uint64_t extend_double(int bits, uint32_t a) { return extend_double(bits, static_cast<uint64_t>(a)); }
LANES_INLINE Lanes64 extend_double(int bits, Lanes32 a) {
    const Doubles pairs = reinterpret_cast<Doubles>(a.v);
    return {extend_half(bits, pairs), extend_half(bits, pairs >> 32)};
}

// `condition ? yes() : no()`; on lanes, pair by pair.
template <typename Condition, typename Yes, typename No>
LANES_INLINE auto select(Condition condition, Yes yes, No no) {
    using A = decltype(yes());
    using B = decltype(no());
    if constexpr (!is_lanes<Condition>) {
        using Result = std::conditional_t<is_lanes<A>, A, B>;
        return condition ? Result(yes()) : Result(no());
    } else {
        constexpr bool wide = std::is_same_v<std::decay_t<A>, Lanes64> || std::is_same_v<std::decay_t<B>, Lanes64>;
        using Result = std::conditional_t<wide, Lanes64, Lanes32>;
        if constexpr (wide) {
            const Lanes64 mask = extend_double(1, condition);
            return (Result(yes()) & mask) | (Result(no()) & ~mask);
        } else {
            const Lanes32 mask = -condition;
            return (Result(yes()) & mask) | (Result(no()) & ~mask);
        }
    }
}

}  // namespace lanes

#define VL_SELECT(condition, yes, no) lanes::select(condition, [&] { return yes; }, [&] { return no; })
#define VL_EXTENDS_II(obits, lbits, lhs) lanes::extend_word(lbits, lhs)
#define VL_EXTENDS_QI(obits, lbits, lhs) lanes::extend_double(lbits, lhs)
#define VL_EXTENDS_QQ(obits, lbits, lhs) lanes::extend_double(lbits, lhs)
#define VL_EXTEND_II(obits, lbits, lhs) (lhs)
#define VL_EXTEND_QI(obits, lbits, lhs) lanes::to_double(lhs)
#define VL_EXTEND_QQ(obits, lbits, lhs) (lhs)
#define VL_MULS_III(bits, lhs, rhs) ((lhs) * (rhs))
#define VL_MULS_QQQ(bits, lhs, rhs) ((lhs) * (rhs))
#define VL_ZERO_W(bits, wide) (wide) = {}
#define VL_SHIFTL_III(obits, lbits, rbits, lhs, rhs) ((lhs) << (rhs))
#define VL_SHIFTR_III(obits, lbits, rbits, lhs, rhs) ((lhs) >> (rhs))
#define VL_SHIFTL_QQI(obits, lbits, rbits, lhs, rhs) ((lhs) << (rhs))
#define VL_SHIFTR_QQI(obits, lbits, rbits, lhs, rhs) ((lhs) >> (rhs))
#define VL_UNLIKELY(condition) (condition)
#define VL_LIKELY(condition) (condition)

namespace lanes {
using CData = Lanes32;
using SData = Lanes32;
using IData = Lanes32;
using EData = Lanes32;
using QData = Lanes64;
template <int WORDS>
using VlWide = Wide<WORDS>;
template <typename Row, int DEPTH>
using VlUnpacked = Memory<Row, DEPTH>;
}  // namespace lanes

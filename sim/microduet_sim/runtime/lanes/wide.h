// Signals of more than 64 bits, and memories, of many pairs at once.
#pragma once

#include "lanes.h"

namespace lanes {

// Verilator's VlWide: 32-bit words, the lowest first.
template <int WORDS>
struct Wide {
    Lanes32 word[WORDS];
    LANES_INLINE Lanes32& operator[](int k) { return word[k]; }
    LANES_INLINE const Lanes32& operator[](int k) const { return word[k]; }
};

// The same for a signal that all pairs share.
template <int WORDS>
struct UniformWide {
    uint32_t word[WORDS];
    LANES_INLINE uint32_t& operator[](int k) { return word[k]; }
    LANES_INLINE uint32_t operator[](int k) const { return word[k]; }
};

// A place in a memory whose row differs from pair to pair: only writes need it (a pair that is not addressed writes its
// spare row). Rows beyond the end are not written, as in Verilator's own code.
template <typename Row, int DEPTH>
struct Scattered {
    Row* rows;
    Lanes32 index;

    struct Word {
        Row* rows;
        Lanes32 index;
        int number;
        LANES_INLINE void operator=(Lanes32 value) const {
            for (int lane = 0; lane < COUNT; ++lane)
                if (index[lane] < DEPTH) rows[index[lane]][number].v[lane] = value[lane];
        }
    };
    LANES_INLINE Word operator[](int number) const { return {rows, index, number}; }

    LANES_INLINE void operator=(Lanes32 value) const {
        for (int lane = 0; lane < COUNT; ++lane)
            if (index[lane] < DEPTH) rows[index[lane]].v[lane] = value[lane];
    }
    LANES_INLINE void operator=(Lanes64 value) const {
        for (int lane = 0; lane < COUNT; ++lane)
            if (index[lane] < DEPTH) (lane & 1 ? rows[index[lane]].odd : rows[index[lane]].even)[lane >> 1] = value[lane];
    }
};

// Verilator's VlUnpacked. A row number that all pairs share is an ordinary integer.
template <typename Row, int DEPTH>
struct Memory {
    Row rows[DEPTH];
    LANES_INLINE Row& operator[](uint32_t row) { return rows[row]; }
    LANES_INLINE const Row& operator[](uint32_t row) const { return rows[row]; }
    LANES_INLINE Scattered<Row, DEPTH> operator[](Lanes32 index) { return {rows, index}; }
};

}  // namespace lanes

// All pairs of one array, COUNT to a SIMD register, and the chain that joins them.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include "../array_inputs.h"
#include "functions.h"

namespace lanes {

// Words of a chain lie in planes, one per 32 bits, so that the R-th neighbour of many PEs is one unaligned load.
LANES_INLINE void load_planes(Lanes32& signal, const uint32_t* plane, size_t) {
    __builtin_memcpy(&signal.v, plane, BYTES);
}
LANES_INLINE void load_planes(Lanes64& signal, const uint32_t* plane, size_t stride) {
    Lanes32 low, high;
    load_planes(low, plane, stride);
    load_planes(high, plane + stride, stride);
    signal = Lanes64::join(low, high);
}
template <int WORDS>
LANES_INLINE void load_planes(Wide<WORDS>& signal, const uint32_t* plane, size_t stride) {
    for (int k = 0; k < WORDS; ++k) load_planes(signal.word[k], plane + k * stride, stride);
}
LANES_INLINE void store_planes(const Lanes32& signal, uint32_t* plane, size_t) {
    __builtin_memcpy(plane, &signal.v, BYTES);
}
LANES_INLINE void store_planes(const Lanes64& signal, uint32_t* plane, size_t stride) {
    store_planes(signal.low(), plane, stride);
    store_planes(signal.high(), plane + stride, stride);
}
template <int WORDS>
LANES_INLINE void store_planes(const Wide<WORDS>& signal, uint32_t* plane, size_t stride) {
    for (int k = 0; k < WORDS; ++k) store_planes(signal.word[k], plane + k * stride, stride);
}

LANES_INLINE void load_operand(uint32_t& signal, const uint32_t* x) { signal = *x; }
LANES_INLINE void load_operand(uint64_t& signal, const uint32_t* x) { std::memcpy(&signal, x, sizeof signal); }
template <int WORDS>
LANES_INLINE void load_operand(UniformWide<WORDS>& signal, const uint32_t* x) {
    std::memcpy(signal.word, x, sizeof signal.word);
}

// Parameters: the generated pair and its `step`, processing elements, outputs drained per cycle, bits of the chain.
template <typename Pair, void (*STEP)(Pair&), int PES, int DRAIN, int CHAIN_BITS>
class LaneArray final : public microduet::PairArray {
  public:
    LaneArray() : groups_(new Pair[GROUPS]()) {
        for (int k = 0; k < GROUPS * COUNT; ++k) groups_[k / COUNT].i_index.v[k % COUNT] = k < PAIRS ? k : NOBODY;
    }

    void step(const microduet::ArrayInputs& inputs) override {
        for (int g = 0; g < GROUPS; ++g) {
            Pair& pair = groups_[g];
            load_inputs(pair, inputs);
            load_planes(pair.i_chain_0, chain_[0] + g * COUNT + DRAIN, LENGTH);
            load_planes(pair.i_chain_1, chain_[0] + g * COUNT + PAIRS + DRAIN, LENGTH);
            STEP(pair);
        }
        // Unused lanes of the last group fall on half 1, which is stored after them, and on the zeros beyond the end.
        for (int g = 0; g < GROUPS; ++g) store_planes(groups_[g].o_chain_0, chain_[0] + g * COUNT, LENGTH);
        for (int g = 0; g < GROUPS; ++g) store_planes(groups_[g].o_chain_1, chain_[0] + g * COUNT + PAIRS, LENGTH);
        if constexpr (PAIRS % COUNT)
            for (auto& plane : chain_) std::memset(plane + PES, 0, COUNT * sizeof *plane);
    }

    const uint32_t* plane(int word) const override { return chain_[word]; }

  private:
    static constexpr int PAIRS = PES / 2;
    static constexpr int GROUPS = (PAIRS + COUNT - 1) / COUNT;
    static constexpr int CHAIN_WORDS = (CHAIN_BITS + 31) / 32;
    static constexpr size_t LENGTH = PES + DRAIN + 2 * COUNT;
    static constexpr uint32_t NOBODY = 0x7ff;  // a pair number that no load addresses
    static_assert(PAIRS < static_cast<int>(NOBODY), "pair numbers have 11 bits");

    static LANES_INLINE void load_inputs(Pair& pair, const microduet::ArrayInputs& inputs) {
        load_operand(pair.i_x, inputs.x);
        pair.i_address = inputs.address;
        pair.i_first = inputs.first;
        pair.i_accumulate = inputs.accumulate;
        pair.i_capture = inputs.capture;
        pair.i_shift = inputs.shift;
        pair.i_load = inputs.load;
        pair.i_load_pair = inputs.load_pair;
        pair.i_load_half = inputs.load_half;
    }

    std::unique_ptr<Pair[]> groups_;
    uint32_t chain_[CHAIN_WORDS][LENGTH] = {};
};

}  // namespace lanes

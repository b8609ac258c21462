// What an EngineCore tells all pairs of one array in a cycle, and what steps them.
#pragma once

#include <cstdint>

namespace microduet {

struct ArrayInputs {
    const uint32_t* x;  // words of the operand, the lowest first
    uint32_t address, first, accumulate, capture, shift, load, load_pair, load_half;
};

// The pairs of one array, as a composite model steps them.
class PairArray {
  public:
    virtual ~PairArray() = default;

    // One rising edge of the clock in all pairs.
    virtual void step(const ArrayInputs& inputs) = 0;

    // Word `word` of the shadow registers, one element per PE.
    virtual const uint32_t* plane(int word) const = 0;
};

}  // namespace microduet

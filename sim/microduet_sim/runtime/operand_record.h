// What the arrays' pairs were told, cycle by cycle: to find the layer in which a wrong score began.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace microduet {

class OperandRecord {
  public:
    // Room for `cycles` rows of `row_words` words; none to stop.
    void begin(uint32_t* words, uint64_t cycles, uint32_t row_words) {
        words_ = words;
        cycles_ = cycles;
        row_words_ = row_words;
        cycle_ = place_ = 0;
    }
    bool on() const { return cycle_ < cycles_; }
    uint64_t cycles() const { return cycle_; }

    // One array's part of a row: accumulate, address, operands.
    void add(uint32_t accumulate, uint32_t address, const uint32_t* x, size_t x_words) {
        if (place_ + 2 + x_words > row_words_) return;
        uint32_t* to = words_ + cycle_ * row_words_ + place_;
        to[0] = accumulate;
        to[1] = address;
        std::memcpy(to + 2, x, x_words * sizeof *x);
        place_ += 2 + x_words;
    }
    void end_cycle() {
        place_ = 0;
        ++cycle_;
    }

  private:
    uint32_t* words_ = nullptr;
    uint64_t cycles_ = 0, cycle_ = 0;
    size_t row_words_ = 0, place_ = 0;
};

}  // namespace microduet

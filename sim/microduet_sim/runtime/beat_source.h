// Drives an AXI4-Stream of 512-bit beats: once valid, a beat stays until it is taken.
#pragma once

#include <cstring>
#include <utility>

#include "pins.h"
#include "stall.h"

namespace microduet {

class BeatSource {
  public:
    static constexpr int WORDS = 16;

    explicit BeatSource(const StreamPins& pins) : pins_(pins) {}

    void set_stall(Stall stall) { stall_ = stall; }

    // Whether there is a beat on the pins.
    bool waiting() const { return *pins_.tvalid; }

    // Before the edge: whether the beat on the pins is taken at it.
    bool taken() const { return *pins_.tvalid && *pins_.tready; }

    // After the edge: whether another beat may be put on the pins.
    bool free(bool was_taken) {
        if (*pins_.tvalid && !was_taken) return false;
        changed_ |= *pins_.tvalid;
        *pins_.tvalid = 0;
        return !stall_();
    }

    void put(const uint32_t* words, bool last) {
        std::memcpy(pins_.tdata, words, WORDS * sizeof *words);
        *pins_.tlast = last;
        *pins_.tvalid = 1;
        changed_ = true;
    }

    // Whether a pin has changed since the last question.
    bool changed() { return std::exchange(changed_, false); }

  private:
    StreamPins pins_;
    Stall stall_;
    bool changed_ = false;
};

}  // namespace microduet

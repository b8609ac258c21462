// Gives up when nothing moves any more.
#pragma once

#include <cstdint>

namespace microduet {

class Patience {
  public:
    explicit Patience(uint64_t cycles) : cycles_(cycles) {}

    // Whether `marker` has stood still for too long at engine cycle `now`.
    bool lost(uint64_t marker, uint64_t now) {
        if (marker != marker_ || !started_) marker_ = marker, since_ = now, started_ = true;
        return now - since_ > cycles_;
    }
    uint64_t cycles() const { return cycles_; }

  private:
    uint64_t cycles_, marker_ = 0, since_ = 0;
    bool started_ = false;
};

}  // namespace microduet

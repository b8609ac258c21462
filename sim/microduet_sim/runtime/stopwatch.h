// Time spent in a part of the simulation, by the processor's counter.
#pragma once

#include <x86intrin.h>

#include <cstdint>

namespace microduet {

// Off unless switched on: then every measured call pays for two reads of the counter, which are part of what it shows.
class Stopwatch {
  public:
    void set(bool on) { on_ = on; }
    uint64_t ticks() const { return ticks_; }

    template <typename Call>
    auto measure(Call call) {
        if (!on_) return call();
        struct Lap {
            uint64_t& ticks;
            uint64_t start = __rdtsc();
            ~Lap() { ticks += __rdtsc() - start; }
        } lap{ticks_};
        return call();
    }

  private:
    bool on_ = false;
    uint64_t ticks_ = 0;
};

}  // namespace microduet

// Two clocks in exact integer time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace microduet {

struct Edge {
    bool engine, memory;
};

// Whether inputs of either side differ from what they were at the edge before.
struct Changes {
    bool engine = false, memory = false;
    explicit operator bool() const { return engine || memory; }
};

// Rising edges of both clocks in order; edges that fall together come as one. Both rise first after one period.
class Clocks {
  public:
    Clocks(uint32_t engine_mhz, uint32_t memory_mhz)
        : per_us_(std::lcm<uint64_t>(engine_mhz, memory_mhz)),
          engine_period_(per_us_ / engine_mhz),
          memory_period_(per_us_ / memory_mhz),
          engine_next_(engine_period_),
          memory_next_(memory_period_) {}

    Edge advance() {
        now_ = std::min(engine_next_, memory_next_);
        const Edge edge{engine_next_ == now_, memory_next_ == now_};
        if (edge.engine) engine_next_ += engine_period_, ++engine_cycles;
        if (edge.memory) memory_next_ += memory_period_, ++memory_cycles;
        return edge;
    }

    // Time of the last edge, in picoseconds, rounded down.
    uint64_t picoseconds() const {
        return static_cast<uint64_t>(static_cast<unsigned __int128>(now_) * 1000000 / per_us_);
    }

    uint64_t engine_cycles = 0, memory_cycles = 0;

  private:
    uint64_t per_us_, engine_period_, memory_period_, engine_next_, memory_next_, now_ = 0;
};

}  // namespace microduet

// Random waits with a seed, one independent sequence per stream.
#pragma once

#include <cstdint>

namespace microduet {

class Random {
  public:
    explicit Random(uint64_t seed = 1) : state_(seed * 0x9E3779B97F4A7C15ULL + 0xD1B54A32D192ED03ULL) {}
    uint64_t next() {  // splitmix64
        uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t bound) { return next() % bound; }

  private:
    uint64_t state_;
};

class Stall {
  public:
    Stall() = default;
    Stall(double probability, uint64_t seed)
        : threshold_(static_cast<uint64_t>(probability * 4294967296.0)), random_(seed) {}

    // Whether the stream waits in this cycle.
    bool operator()() { return threshold_ && (random_.next() >> 32) < threshold_; }

  private:
    uint64_t threshold_ = 0;
    Random random_;
};

}  // namespace microduet

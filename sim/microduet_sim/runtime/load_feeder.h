// Sends load beats: weights, parameters and on-chip tables.
#pragma once

#include "beat_source.h"

namespace microduet {

class LoadFeeder {
  public:
    explicit LoadFeeder(const StreamPins& pins) : source_(pins) {}

    void set_stall(Stall stall) { source_.set_stall(stall); }
    bool changed() { return source_.changed(); }
    void begin(const uint32_t* beats, uint64_t count) { beats_ = beats, count_ = count, sent_ = taken_ = 0; }
    bool done() const { return taken_ == count_; }
    uint64_t taken() const { return taken_; }

    void sample() { now_ = source_.taken(); }
    void drive() {
        taken_ += now_;
        if (!source_.free(now_) || sent_ == count_) return;
        source_.put(beats_ + sent_++ * BeatSource::WORDS, true);
    }

  private:
    BeatSource source_;
    const uint32_t* beats_ = nullptr;
    uint64_t count_ = 0, sent_ = 0, taken_ = 0;
    bool now_ = false;
};

}  // namespace microduet

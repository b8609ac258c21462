// Sends the item packets of a batch.
#pragma once

#include <algorithm>

#include "arguments.h"
#include "beat_source.h"

namespace microduet {

class ItemFeeder {
  public:
    explicit ItemFeeder(const StreamPins& pins) : source_(pins) {}

    void set_stall(Stall stall) { source_.set_stall(stall); }
    bool changed() { return source_.changed(); }
    void begin(const MdRun& run) { run_ = &run, item_ = beat_ = sent_ = accepted_ = 0, taken_ = false; }

    void sample() { taken_ = source_.taken(); }

    // After a memory-side edge at `ps`; `cycle` is the engine cycle of the batch, `finished` the results taken so far.
    void drive(uint64_t ps, uint64_t cycle, uint64_t finished) {
        if (taken_ && sent_ == 1) run_->accepted_ps[accepted_++] = ps;
        if (!source_.free(taken_) || item_ == run_->items) return;
        if (beat_ == 0 && !may_start(cycle, finished)) return;
        const uint64_t beats = run_->beats ? run_->beats[item_] : run_->stride_beats;
        const uint64_t place = item_ * run_->stride_beats + std::min<uint64_t>(beat_, run_->stride_beats - 1);
        sent_ = ++beat_;
        source_.put(run_->packets + place * BeatSource::WORDS, beat_ == beats);
        if (beat_ == beats) beat_ = 0, ++item_;
    }

    uint64_t accepted() const { return accepted_; }

  private:
    bool may_start(uint64_t cycle, uint64_t finished) const {
        if (run_->mode == MD_IDLE) return finished == item_;
        if (run_->mode == MD_ARRIVALS) return cycle >= run_->arrivals[item_];
        return true;
    }

    BeatSource source_;
    const MdRun* run_ = nullptr;
    uint64_t item_ = 0, beat_ = 0;  // what is put on the pins next
    uint64_t sent_ = 0;             // number of the beat on the pins, from 1
    uint64_t accepted_ = 0;
    bool taken_ = false;
};

}  // namespace microduet

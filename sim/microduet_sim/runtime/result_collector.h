// Takes results, and notes when each vector was complete and each result was out.
#pragma once

#include <cstring>
#include <stdexcept>
#include <utility>

#include "arguments.h"
#include "pins.h"
#include "slot_turns.h"
#include "stall.h"

namespace microduet {

class ResultCollector {
  public:
    explicit ResultCollector(const Pins& pins)
        : pins_(pins.results), words_(pins.result_words), users_(pins.users.tvalid), probe_(pins.probe_vector) {
        *pins_.tready = 1;
    }

    void set_stall(Stall stall) { stall_ = stall; }
    void begin(MdRun& run) {
        run_ = &run, finished_ = vectors_ = 0, taken_ = false;
        turns_.fill(0);
    }
    const SlotTurns& turns() const { return turns_; }
    uint64_t finished() const { return finished_; }

    // Before the edge: keep the result that is taken at it.
    void sample() {
        taken_ = *pins_.tvalid && *pins_.tready;
        if (!taken_ || finished_ == run_->results) return;
        last_ = *pins_.tlast;
        const uint32_t* beat = pins_.tdata;
        if (last_ && users_) count_turn(beat);
        if (run_->answers) return keep(beat);
        run_->tag[finished_] = beat[0];
        run_->logit[finished_] = static_cast<int32_t>(beat[1]);
        run_->score[finished_] = static_cast<uint16_t>(beat[2]);
        run_->status[finished_] = static_cast<uint8_t>(beat[3]);
    }

    // After the edge; whether a pin has changed.
    bool drive(uint64_t ps) {
        if (taken_ && last_ && finished_ < run_->results) run_->finished_ps[finished_++] = ps;
        const bool ready = !stall_();
        return std::exchange(*pins_.tready, ready) != ready;
    }

    // After a memory-side edge.
    void watch_vectors(uint64_t ps) {
        if (*probe_ && vectors_ < run_->items.count) run_->vector_ps[vectors_++] = ps;
    }

  private:
    void count_turn(const uint32_t* beat) {
        constexpr uint32_t OWN_RESULT = 255;
        const uint32_t slot = beat[2] >> 16 & 0xff, rank = beat[2] >> 24;
        if (rank != OWN_RESULT) ++turns_.at(slot);
    }

    void keep(const uint32_t* beat) {
        if (run_->answer_count == run_->answer_capacity) throw std::runtime_error("an answer has too many beats");
        std::memcpy(run_->answers + words_ * run_->answer_count++, beat, words_ * sizeof *beat);
        ++run_->answer_beats[finished_];
    }

    StreamPins pins_;
    uint32_t words_;
    bool users_;
    const uint8_t* probe_;
    Stall stall_;
    MdRun* run_ = nullptr;
    SlotTurns turns_{};
    uint64_t finished_ = 0, vectors_ = 0;
    bool taken_ = false, last_ = false;
};

}  // namespace microduet

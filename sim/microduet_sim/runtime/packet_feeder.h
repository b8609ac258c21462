// Sends the packets of a batch through one stream.
#pragma once

#include <algorithm>

#include "arguments.h"
#include "beat_source.h"
#include "slot_turns.h"

namespace microduet {

class PacketFeeder {
  public:
    PacketFeeder(const StreamPins& pins, const SlotTurns& turns) : source_(pins), turns_(turns) {}

    void set_stall(Stall stall) { source_.set_stall(stall); }
    bool changed() { return source_.changed(); }
    void begin(const MdPackets& packets) {
        packets_ = &packets, number_ = beat_ = sent_ = accepted_ = 0, taken_ = false, paused_ = 0;
    }

    void sample() { taken_ = source_.taken(); }

    // After an edge of the stream's clock at `ps`; `cycle` is the engine cycle of the batch, `finished` the results taken so far.
    void drive(uint64_t ps, uint64_t cycle, uint64_t finished) {
        if (taken_ && sent_ == 1) packets_->accepted_ps[accepted_++] = ps;
        if (!source_.free(taken_) || number_ == packets_->count) return;
        if (beat_ == 0 && !may_start(cycle, finished)) return;
        if (pauses()) return;
        const uint64_t beats = packets_->beats ? packets_->beats[number_] : packets_->stride_beats;
        const uint64_t place = number_ * packets_->stride_beats + std::min<uint64_t>(beat_, packets_->stride_beats - 1);
        sent_ = ++beat_;
        source_.put(packets_->packets + place * BeatSource::WORDS, beat_ == beats);
        if (beat_ == beats) beat_ = 0, ++number_;
    }

    uint64_t accepted() const { return accepted_; }
    bool done() const { return number_ == packets_->count && !source_.waiting(); }

  private:
    bool pauses() {
        if (number_ != packets_->pause_packet || beat_ != packets_->pause_beat) return false;
        return paused_ < packets_->pause_cycles && ++paused_;
    }

    bool may_start(uint64_t cycle, uint64_t finished) const {
        if (packets_->slots && turns_[packets_->slots[number_]] < packets_->turns[number_]) return false;
        if (packets_->mode == MD_IDLE) return finished == number_;
        if (packets_->mode == MD_ARRIVALS) return cycle >= packets_->arrivals[number_];
        return true;
    }

    BeatSource source_;
    const SlotTurns& turns_;
    const MdPackets* packets_ = nullptr;
    uint64_t number_ = 0, beat_ = 0;  // what is put on the pins next
    uint64_t sent_ = 0;             // number of the beat on the pins, from 1
    uint64_t accepted_ = 0;
    uint64_t paused_ = 0;
    bool taken_ = false;
};

}  // namespace microduet

// A memory that answers every read after the same time, one beat per cycle, any number in flight.
#pragma once

#include <cmath>
#include <deque>

#include "arguments.h"
#include "memory_channel.h"
#include "stall.h"
#include "tables.h"

namespace microduet {

class SimpleMemory final : public MemoryChannel {
  public:
    SimpleMemory(const ChannelContents& contents, double latency_ns, uint32_t memory_mhz)
        : contents_(contents), latency_(static_cast<uint64_t>(std::ceil(latency_ns * memory_mhz / 1000.0))) {}

    void set_fault(const MdFault& fault, uint64_t seed) {
        fault_ = fault;
        random_ = Random(seed);
        count_ = 0;
    }

    bool ready() const override { return true; }
    bool idle() const override { return waiting_.empty() && !offered_; }

    void accept(const ReadRequest& request, uint64_t cycle) override {
        ++count_;
        if (count_ == fault_.silent_on) return;
        waiting_.push_back({request, cycle + latency_, 0, count_ == fault_.error_on});
    }

    const ReadBeat* offer(uint64_t cycle) override {
        if (offered_) return &beat_;
        if (!choose(cycle)) return nullptr;
        fill(waiting_.front());
        offered_ = true;
        return &beat_;
    }

    void take() override {
        offered_ = false;
        if (beat_.last) waiting_.pop_front();
    }

  private:
    struct Read {
        ReadRequest request;
        uint64_t due;
        uint32_t beat;
        bool error;
    };

    // Bring the read to serve to the front. Out of order: any that is due, but a burst once begun is finished, and
    // reads of one ID stay in order.
    bool choose(uint64_t cycle) {
        if (waiting_.empty() || waiting_.front().due > cycle) return false;
        if (!fault_.reorder || waiting_.front().beat) return true;
        size_t due = 1;
        while (due < waiting_.size() && waiting_[due].due <= cycle) ++due;
        const size_t chosen = random_.below(due);
        const uint8_t id = waiting_[chosen].request.id;
        for (size_t k = 0; k <= chosen; ++k) {
            if (waiting_[k].request.id != id) continue;
            const Read read = waiting_[k];
            waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(k));
            waiting_.push_front(read);
            break;
        }
        return true;
    }

    void fill(Read& read) {
        contents_.read(read.request.address + uint64_t{BEAT_BYTES} * read.beat, beat_.data);
        beat_.id = read.request.id;
        beat_.response = read.error ? 2 : 0;  // SLVERR
        beat_.last = ++read.beat == read.request.beats;
    }

    const ChannelContents& contents_;
    uint64_t latency_, count_ = 0;
    MdFault fault_{};
    Random random_;
    std::deque<Read> waiting_;
    ReadBeat beat_{};
    bool offered_ = false;
};

}  // namespace microduet

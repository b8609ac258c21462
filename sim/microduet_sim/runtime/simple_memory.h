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
    SimpleMemory(ChannelContents& contents, double latency_ns, uint32_t memory_mhz)
        : contents_(contents), latency_(static_cast<uint64_t>(std::ceil(latency_ns * memory_mhz / 1000.0))) {}

    void set_reorder(bool reorder, uint64_t seed) override {
        reorder_ = reorder;
        random_ = Random(seed);
    }

    bool ready() const override { return true; }
    uint64_t wake() const override { return offered_ ? 0 : waiting_.empty() ? ~0ULL : waiting_.front().due; }

    void accept(const ReadRequest& request, uint64_t cycle) override {
        waiting_.push_back({request, cycle + latency_, 0});
    }

    void write(uint64_t address, const uint32_t* data, uint32_t beats, uint64_t) override {
        for (uint32_t k = 0; k < beats; ++k) contents_.write(address + uint64_t{BEAT_BYTES} * k, data + 8 * k);
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
    };

    // Bring the read to serve to the front. Out of order: any that is due, but a burst once begun is finished, and
    // reads of one ID stay in order.
    bool choose(uint64_t cycle) {
        if (waiting_.empty() || waiting_.front().due > cycle) return false;
        if (!reorder_ || waiting_.front().beat) return true;
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
        beat_.response = 0;
        beat_.last = ++read.beat == read.request.beats;
    }

    ChannelContents& contents_;
    uint64_t latency_;
    bool reorder_ = false;
    Random random_;
    std::deque<Read> waiting_;
    ReadBeat beat_{};
    bool offered_ = false;
};

}  // namespace microduet

// A channel of DRAM behind an AXI port: requests become bursts, bursts become beats in the port's own clock.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "controller.h"
#include "memory_channel.h"
#include "tables.h"

namespace microduet::dram {

// The two clocks of a channel, which have nothing to do with each other.
class ClockRatio {
  public:
    ClockRatio(const MdDram& parameters, double port_mhz)
        : port_ns_(1000.0 / port_mhz), tCK_ns_(parameters.tCK_ns), delay_ns_(parameters.delay_ns) {}

    double nanoseconds(uint64_t end) const { return static_cast<double>(end) * tCK_ns_; }

    // When a request taken at the port's edge `cycle` arrives at the controller.
    uint64_t arrival(uint64_t cycle) const {
        return static_cast<uint64_t>(std::ceil((static_cast<double>(cycle) * port_ns_ + delay_ns_) / tCK_ns_));
    }
    // The port's first edge that sees data whose transfer ends with DRAM cycle `end`, or at a time.
    uint64_t delivery(uint64_t end) const { return edge(nanoseconds(end)); }
    uint64_t edge(double nanoseconds) const { return static_cast<uint64_t>(std::ceil(nanoseconds / port_ns_)); }

  private:
    double port_ns_, tCK_ns_, delay_ns_;
};

// All of the constant delay lies before the controller, so that what is accepted now cannot matter to it for some time:
// until then it may work ahead, and it is only called when a beat could be due.
class FrontEnd final : public MemoryChannel {
  public:
    FrontEnd(const MdDram& parameters, ChannelContents& contents, double port_mhz)
        : parameters_(parameters),
          controller_(parameters_),
          contents_(contents),
          ratio_(parameters_, port_mhz),
          reads_(parameters.outstanding) {}

    bool ready() const override { return count_ < reads_.size(); }

    void accept(const ReadRequest& request, uint64_t cycle) override {
        const uint64_t number = first_ + count_++;
        Read& read = slot(number);
        read.request = request;
        read.served = 0;
        read.first_burst = request.address / parameters_.burst_bytes;
        const uint64_t last = (request.address + uint64_t{BEAT_BYTES} * request.beats - 1) / parameters_.burst_bytes;
        read.delivery.assign(last - read.first_burst + 1, NEVER);
        for (uint64_t burst = read.first_burst; burst <= last; ++burst)
            enter(burst, false, cycle, number << 16 | (burst - read.first_burst));
    }

    bool write_ready() const override { return writes_under_way_ < reads_.size(); }

    void write(uint64_t address, const uint32_t* data, uint32_t beats, uint64_t cycle) override {
        for (uint32_t k = 0; k < beats; ++k) contents_.write(address + uint64_t{BEAT_BYTES} * k, data + 8 * k);
        const uint64_t last = (address + uint64_t{BEAT_BYTES} * beats - 1) / parameters_.burst_bytes;
        for (uint64_t burst = address / parameters_.burst_bytes; burst <= last; ++burst) {
            enter(burst, true, cycle, WRITE);
            ++writes_under_way_;
        }
    }

    uint64_t writes_under_way(uint64_t cycle) override {
        work_until(ratio_.arrival(cycle) - 1);
        wake_ = 0;
        return writes_under_way_;
    }

    const ReadBeat* offer(uint64_t cycle) override {
        if (offered_) return &beat_;
        if (cycle < wake_) return nullptr;
        work_until(ratio_.arrival(cycle) - 1);
        const uint64_t number = choose(cycle);
        if (number == NEVER) return nullptr;
        fill(slot(number));
        chosen_ = number;
        offered_ = true;
        return &beat_;
    }

    void take() override {
        offered_ = false;
        wake_ = 0;
        if (!beat_.last) return;
        slot(chosen_).done = true;
        chosen_ = NEVER;
        while (count_ && slot(first_).done) {
            slot(first_).done = false;
            ++first_;
            --count_;
        }
    }

    uint64_t wake() const override { return offered_ ? 0 : wake_; }

    uint64_t refreshes() const { return controller_.refreshes(); }

    void count_commands(uint64_t* commands) const override {
        std::copy(controller_.commands().begin(), controller_.commands().end(), commands);
    }

  private:
    static constexpr uint64_t WRITE = NEVER;  // tag of a write's bursts

    struct Read {
        ReadRequest request{};
        uint64_t first_burst = 0;
        std::vector<uint64_t> delivery;  // the port's edge for each burst
        uint32_t served = 0;
        bool done = false;

        uint64_t next_delivery(uint32_t burst_bytes) const {
            return delivery[(request.address + uint64_t{BEAT_BYTES} * served) / burst_bytes - first_burst];
        }
    };

    Read& slot(uint64_t number) { return reads_[number % reads_.size()]; }

    // Bursts enter in their order, one per cycle of the DRAM.
    void enter(uint64_t burst, bool write, uint64_t cycle, uint64_t tag) {
        const uint64_t entry = std::max(ratio_.arrival(cycle), next_entry_);
        next_entry_ = entry + 1;
        controller_.push(burst * parameters_.burst_bytes, write, entry, tag);
        wake_ = 0;
    }

    void work_until(uint64_t cycle) {
        controller_.advance(cycle);
        for (const auto& [tag, end] : controller_.completions)
            if (tag == WRITE)
                --writes_under_way_;
            else
                deliver(slot(tag >> 16), tag & 0xFFFF, end);
        controller_.completions.clear();
    }

    void deliver(Read& read, uint64_t burst, uint64_t end) {
        read.delivery[burst] = ratio_.delivery(end);
        if (parameters_.narrow_ns == 0) return;
        uint32_t bytes = 0;  // a narrow reader asks for no more than the row
        for (uint32_t beat = 0; beat < read.request.beats; ++beat) {
            const uint64_t address = read.request.address + uint64_t{BEAT_BYTES} * beat;
            if (address / parameters_.burst_bytes - read.first_burst == burst) bytes += contents_.bytes(address);
        }
        const uint32_t beats = (bytes + parameters_.narrow_bytes - 1) / parameters_.narrow_bytes;
        narrow_free_ns_ = std::max(narrow_free_ns_, ratio_.nanoseconds(end)) + beats * parameters_.narrow_ns;
        read.delivery[burst] = ratio_.edge(narrow_free_ns_);
    }

    // The read to serve at `cycle`, or NEVER; then `wake_` says when to look again. A read once begun is finished,
    // reads of one ID are served in their order, others as their data come.
    uint64_t choose(uint64_t cycle) {
        wake_ = controller_.empty() ? NEVER : std::max(cycle + 1, ratio_.delivery(controller_.completes_from()));
        if (chosen_ != NEVER) return due(chosen_, cycle) ? chosen_ : NEVER;
        std::array<bool, 256> waiting{};
        for (uint64_t number = first_; number < first_ + count_; ++number) {
            const Read& read = slot(number);
            bool& earlier = waiting[read.request.id];
            if (!read.done && !earlier && due(number, cycle)) return number;
            earlier |= !read.done;
        }
        return NEVER;
    }

    bool due(uint64_t number, uint64_t cycle) {
        const uint64_t delivery = slot(number).next_delivery(parameters_.burst_bytes);
        if (delivery > cycle) wake_ = std::min(wake_, delivery);
        return delivery <= cycle;
    }

    void fill(Read& read) {
        contents_.read(read.request.address + uint64_t{BEAT_BYTES} * read.served, beat_.data);
        beat_.id = read.request.id;
        beat_.response = 0;
        beat_.last = ++read.served == read.request.beats;
    }

    const MdDram parameters_;
    Controller controller_;
    ChannelContents& contents_;
    ClockRatio ratio_;
    std::vector<Read> reads_;  // a ring
    uint64_t first_ = 0, count_ = 0, next_entry_ = 0;
    uint64_t writes_under_way_ = 0;  // bursts
    uint64_t chosen_ = NEVER;        // the read whose beats are under way
    uint64_t wake_ = NEVER;
    double narrow_free_ns_ = 0;
    ReadBeat beat_{};
    bool offered_ = false;
};

}  // namespace microduet::dram

// Joins a memory channel to the pins of one AXI read port.
#pragma once

#include <bitset>
#include <cstring>
#include <stdexcept>
#include <string>

#include "arguments.h"
#include "memory_channel.h"
#include "pins.h"
#include "stall.h"
#include "stopwatch.h"

namespace microduet {

class ChannelPort {
  public:
    ChannelPort(const ChannelPins& pins, MemoryChannel& memory, int number)
        : pins_(pins), memory_(memory), number_(number) {
        *pins_.arready = 1;
    }

    void set_stalls(Stall requests, Stall responses) {
        requests_ = requests;
        responses_ = responses;
    }

    void set_fault(const MdFault& fault) {
        fault_ = fault;
        count_ = 0;
        failed_.reset();
        silent_.reset();
    }

    // Before the edge of `cycle`: what will be transferred at it. False if nothing can be, now or after the edge.
    bool sample(uint64_t cycle) {
        request_taken_ = *pins_.arvalid && *pins_.arready;
        beat_taken_ = *pins_.rvalid && *pins_.rready;
        return *pins_.arvalid || *pins_.rvalid || wake_ <= cycle + 1 || !*pins_.arready;
    }

    // The request is on the pins until the edge.
    void keep() {
        if (!request_taken_) return;
        request_ = {*pins_.araddr, *pins_.arlen + 1u, *pins_.arid};
        check();
    }

    // After the edge of `cycle`: the pins for the next one. Whether one of them has changed.
    bool drive(uint64_t cycle) {
        if (request_taken_) accept(cycle);
        if (beat_taken_) {
            if (*pins_.rlast) failed_.reset(*pins_.rid);
            stopwatch.measure([&] { memory_.take(); });
        }
        const bool ready = memory_.ready() && !requests_(), was_valid = *pins_.rvalid;
        const bool changed = *pins_.arready != ready;
        *pins_.arready = ready;
        if (was_valid && !beat_taken_) return changed;  // a beat on the pins stays
        const ReadBeat* beat = responses_() ? nullptr : stopwatch.measure([&] { return memory_.offer(cycle + 1); });
        wake();
        *pins_.rvalid = beat != nullptr;
        if (!beat) return changed || was_valid;
        std::memcpy(pins_.rdata, beat->data, sizeof beat->data);
        *pins_.rid = beat->id;
        *pins_.rresp = failed_[beat->id] ? SLVERR : beat->response;
        *pins_.rlast = beat->last;
        return true;
    }

    // Something may have happened to the memory by another way.
    void wake() { wake_ = memory_.wake(); }

    uint64_t reads = 0;
    Stopwatch stopwatch;  // of the calls to the memory

  private:
    static constexpr uint8_t SLVERR = 2;

    // A read that is never answered does not reach the memory.
    void accept(uint64_t cycle) {
        ++reads;
        ++count_;
        if (count_ == fault_.error_on) failed_.set(request_.id);
        if (count_ == fault_.silent_on) silent_.set(request_.id);  // answers of an ID never overtake each other
        if (!silent_[request_.id]) stopwatch.measure([&] { memory_.accept(request_, cycle); });
    }

    void check() const {
        const uint64_t last = request_.address + 32 * uint64_t{request_.beats} - 1;
        if (*pins_.arsize == 5 && *pins_.arburst == 1 && request_.address % 32 == 0 &&
            request_.address / 4096 == last / 4096)
            return;
        throw std::runtime_error("channel " + std::to_string(number_) + " breaks an AXI rule: burst of " +
                                 std::to_string(request_.beats) + " beats at address " +
                                 std::to_string(request_.address));
    }

    ChannelPins pins_;
    MemoryChannel& memory_;
    Stall requests_, responses_;
    ReadRequest request_{};
    int number_;
    MdFault fault_{};
    uint64_t count_ = 0;  // of reads since the faults were set
    std::bitset<256> failed_;  // IDs of reads to be answered with an error
    std::bitset<256> silent_;  // IDs with a read that is never answered
    uint64_t wake_ = ~0ULL;    // the memory's
    bool request_taken_ = false, beat_taken_ = false;
};

}  // namespace microduet

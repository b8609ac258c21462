// What lies behind one AXI read port.
#pragma once

#include <cstdint>

namespace microduet {

struct ReadRequest {
    uint64_t address;
    uint32_t beats;
    uint8_t id;
};

struct ReadBeat {
    uint32_t data[8];
    uint8_t id, response;
    bool last;
};

// A memory channel: addresses in, beats out, in the cycles of the memory-side clock.
//
// In each cycle the port calls `accept` at most once, then `offer`; a beat that was offered stays the same until `take`.
class MemoryChannel {
  public:
    virtual ~MemoryChannel() = default;

    // Whether one more request may come.
    virtual bool ready() const = 0;

    // Take a request whose address was on the pins at the edge of `cycle`.
    virtual void accept(const ReadRequest& request, uint64_t cycle) = 0;

    // The beat to drive so that the edge of `cycle` sees it, or null.
    virtual const ReadBeat* offer(uint64_t cycle) = 0;

    // The beat on offer was taken.
    virtual void take() = 0;

    // Take a write of `beats` beats at once: what is read from now on is what it wrote. It is complete later.
    virtual void write(uint64_t address, const uint32_t* data, uint32_t beats, uint64_t cycle) = 0;

    // Whether a write may come, and how many are not complete at `cycle`.
    virtual bool write_ready() const { return true; }
    virtual uint64_t writes_under_way(uint64_t /* cycle */) { return 0; }

    // `offer` returns null for all cycles before this one, unless something is accepted or taken.
    virtual uint64_t wake() const = 0;

    // Commands to the chips so far, by kind; nothing is written by a memory that has none.
    virtual void count_commands(uint64_t* /* commands */) const {}

    // Answer reads of different IDs in any order, if the memory does not do so by itself.
    virtual void set_reorder(bool, uint64_t /* seed */) {}
};

}  // namespace microduet

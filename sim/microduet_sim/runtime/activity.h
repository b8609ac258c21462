// When parts of a unit were busy: intervals in picoseconds, kept while somebody asks for them.
//
// Everything is seen from outside: handshakes on the pins, and counters that went up at an edge.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "arguments.h"
#include "clocks.h"
#include "pins.h"

namespace microduet {

class ActivityRecord {
  public:
    explicit ActivityRecord(const Pins& pins) : pins_(pins) {}

    bool on() const { return on_; }
    const std::vector<MdInterval>& intervals() const { return intervals_; }

    // From now on, `ps` being the time of the last edge; what was kept is forgotten.
    void begin(uint64_t ps);
    void end();

    // Before an edge: what will be transferred at it.
    void sample(Edge edge);

    // After it, at `ps`.
    void keep(Edge edge, uint64_t ps);

  private:
    struct Read {
        uint64_t start_ps, beats;
    };
    struct Channel {
        std::array<std::deque<Read>, 256> reads;  // on their way, by ID: those of one ID are answered in order
        bool asked = false, answered = false;
        uint8_t asked_id = 0, answered_id = 0;
        uint64_t beats = 0;
    };

    void sample_channel(size_t number);
    void keep_channel(size_t number, uint64_t ps);
    void add_cycle(uint32_t kind, uint32_t number, uint64_t start_ps, uint64_t end_ps);

    const Pins& pins_;
    bool on_ = false;
    bool items_ = false, users_ = false, results_ = false;  // a beat is taken at the edge to come
    uint64_t engine_ps_ = 0, memory_ps_ = 0;                // of the last edges
    std::vector<uint64_t> counted_;
    std::vector<Channel> channels_;
    std::vector<MdInterval> intervals_;
    std::array<std::vector<size_t>, MD_ACTIVITIES> last_;  // per kind and number, one more than its last interval
};

}  // namespace microduet

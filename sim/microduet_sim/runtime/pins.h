// The outside pins of a Verilated engine, as places in the model. `bind.h` finds them by name: what only looks at them is
// the same for all models, so that a compiler cache has it.
#pragma once

#include <cstdint>
#include <vector>

namespace microduet {

// A pin of up to 32 bits whose C++ type depends on its width.
class Pin {
  public:
    Pin() = default;
    Pin(uint8_t& place) : place_(&place), bytes_(1) {}
    Pin(uint16_t& place) : place_(&place), bytes_(2) {}
    Pin(uint32_t& place) : place_(&place), bytes_(4) {}

    uint32_t get() const {
        switch (bytes_) {
            case 1: return *static_cast<uint8_t*>(place_);
            case 2: return *static_cast<uint16_t*>(place_);
            default: return *static_cast<uint32_t*>(place_);
        }
    }
    void set(uint32_t value) const {
        switch (bytes_) {
            case 1: *static_cast<uint8_t*>(place_) = static_cast<uint8_t>(value); break;
            case 2: *static_cast<uint16_t*>(place_) = static_cast<uint16_t>(value); break;
            default: *static_cast<uint32_t*>(place_) = value;
        }
    }

  private:
    void* place_ = nullptr;
    int bytes_ = 0;
};

struct StreamPins {
    uint8_t *tvalid, *tready, *tlast;
    uint32_t* tdata;
};

struct ChannelPins {
    uint8_t *arvalid, *arready, *arlen, *arid, *arsize, *arburst;
    uint64_t* araddr;
    uint8_t *rvalid, *rready, *rid, *rresp, *rlast;
    uint32_t* rdata;  // 8 words
};

struct ControlPins {
    Pin awvalid, awready, awaddr, wvalid, wready, wdata, wstrb, bvalid, bready, bresp;
    Pin arvalid, arready, araddr, rvalid, rready, rdata, rresp;
};

struct Pins {
    uint8_t *rst, *mem_rst, *probe_vector, *interrupt;
    StreamPins items, users, load, results;  // users: null without any
    uint32_t result_words;                   // of 32 bits, in a beat
    ControlPins control;
    std::vector<ChannelPins> channels;
    std::vector<const uint64_t*> counters;  // in their registers; none if this build does not show them
};

}  // namespace microduet

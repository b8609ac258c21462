// One number for all outputs of the engine, to compare two structures cycle by cycle.

#include "simulation.h"

namespace microduet {

namespace {

class Hash {
  public:
    void add(uint64_t value) { state_ = (state_ ^ value) * 0x9E3779B97F4A7C15ULL, state_ ^= state_ >> 32; }
    uint64_t state() const { return state_; }

  private:
    uint64_t state_ = 0xcbf29ce484222325ULL;
};

}  // namespace

uint64_t Simulation::hash_outputs() const {
    const Pins& pins = model_->pins;
    Hash hash;
    for (const uint8_t* pin : {pins.items.tready, pins.load.tready, pins.results.tvalid, pins.results.tlast,
                               pins.probe_vector, pins.interrupt})
        hash.add(*pin);
    if (pins.users.tready) hash.add(*pins.users.tready);
    for (int k = 0; k < 4; ++k) hash.add(pins.results.tdata[k]);
    for (const ChannelPins& channel : pins.channels) {
        hash.add(*channel.arvalid | *channel.rready << 8 | *channel.arlen << 16 | *channel.arid << 24);
        hash.add(*channel.araddr);
    }
    const ControlPins& control = pins.control;
    for (const Pin& pin : {control.awready, control.wready, control.bvalid, control.bresp, control.arready,
                           control.rvalid, control.rdata, control.rresp})
        hash.add(pin.get());
    return hash.state();
}

}  // namespace microduet

// Reads and writes control registers through the AXI4-Lite pins, one access at a time.
#pragma once

#include "pins.h"
#include "stall.h"

namespace microduet {

class ControlMaster {
  public:
    explicit ControlMaster(const ControlPins& pins) : pins_(pins) { pins_.wstrb.set(0xf); }

    void set_stall(Stall stall) { stall_ = stall; }

    void begin(bool write, uint32_t address, uint32_t value) {
        write_ = write;
        address_wanted_ = true;
        data_wanted_ = write;
        busy_ = true;
        (write ? pins_.awaddr : pins_.araddr).set(address);
        pins_.wdata.set(value);
    }

    bool busy() const { return busy_; }
    uint32_t value() const { return value_; }
    uint32_t response() const { return response_; }

    void sample() {
        if (!busy_) return;
        address_taken_ = address_valid().get() && address_ready().get();
        data_taken_ = pins_.wvalid.get() && pins_.wready.get();
        answered_ = write_ ? pins_.bvalid.get() && pins_.bready.get() : pins_.rvalid.get() && pins_.rready.get();
        if (!answered_) return;
        value_ = pins_.rdata.get();
        response_ = (write_ ? pins_.bresp : pins_.rresp).get();
    }

    void drive() {
        if (!busy_) return;
        offer(address_valid(), address_wanted_, address_taken_);
        offer(pins_.wvalid, data_wanted_, data_taken_);
        if (answered_) busy_ = false;
        (write_ ? pins_.bready : pins_.rready).set(busy_ && !stall_());
        address_taken_ = data_taken_ = answered_ = false;
    }

  private:
    const Pin& address_valid() const { return write_ ? pins_.awvalid : pins_.arvalid; }
    const Pin& address_ready() const { return write_ ? pins_.awready : pins_.arready; }

    void offer(const Pin& valid, bool& wanted, bool taken) {
        if (taken) valid.set(0);
        if (!wanted || stall_()) return;
        valid.set(1);
        wanted = false;
    }

    ControlPins pins_;
    Stall stall_;
    uint32_t value_ = 0, response_ = 0;
    bool busy_ = false, write_ = false, address_wanted_ = false, data_wanted_ = false;
    bool address_taken_ = false, data_taken_ = false, answered_ = false;
};

}  // namespace microduet

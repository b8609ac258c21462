// Finds the pins of a Verilated engine by name. `ports.h` and `counters.h`, written by the build, list
// channels, arrays and counters.
#pragma once

#include "Vmodel.h"
#include "Vmodel___024root.h"
#include "counters.h"
#include "pins.h"
#include "ports.h"

namespace microduet {

// Two underscores are one level of an interface; Verilator spells the second one out.
#define MICRODUET_PIN(PORT, SIGNAL) top.PORT##___05F##SIGNAL
#define MICRODUET_STREAM(PORT)                                                                        \
    StreamPins {                                                                                      \
        &MICRODUET_PIN(PORT, tvalid), &MICRODUET_PIN(PORT, tready), &MICRODUET_PIN(PORT, tlast),      \
            MICRODUET_PIN(PORT, tdata).data()                                                         \
    }
#define MICRODUET_BIND_CHANNEL(PORT)                                                                  \
    pins.channels.push_back({&MICRODUET_PIN(PORT, arvalid), &MICRODUET_PIN(PORT, arready),            \
                             &MICRODUET_PIN(PORT, arlen), &MICRODUET_PIN(PORT, arid),                 \
                             &MICRODUET_PIN(PORT, arsize), &MICRODUET_PIN(PORT, arburst),             \
                             &MICRODUET_PIN(PORT, araddr), &MICRODUET_PIN(PORT, rvalid),              \
                             &MICRODUET_PIN(PORT, rready), &MICRODUET_PIN(PORT, rid),                 \
                             &MICRODUET_PIN(PORT, rresp), &MICRODUET_PIN(PORT, rlast),                \
                             MICRODUET_PIN(PORT, rdata).data()});
#define MICRODUET_BIND_COUNTER(SIGNAL) pins.counters.push_back(&top.rootp->SIGNAL);
#define MICRODUET_CONTROL(SIGNAL) pins.control.SIGNAL = Pin(MICRODUET_PIN(s_axi_control, SIGNAL))

inline void bind_control(Vmodel& top, Pins& pins) {
    MICRODUET_CONTROL(awvalid);
    MICRODUET_CONTROL(awready);
    MICRODUET_CONTROL(awaddr);
    MICRODUET_CONTROL(wvalid);
    MICRODUET_CONTROL(wready);
    MICRODUET_CONTROL(wdata);
    MICRODUET_CONTROL(wstrb);
    MICRODUET_CONTROL(bvalid);
    MICRODUET_CONTROL(bready);
    MICRODUET_CONTROL(bresp);
    MICRODUET_CONTROL(arvalid);
    MICRODUET_CONTROL(arready);
    MICRODUET_CONTROL(araddr);
    MICRODUET_CONTROL(rvalid);
    MICRODUET_CONTROL(rready);
    MICRODUET_CONTROL(rdata);
    MICRODUET_CONTROL(rresp);
}

inline void bind(Vmodel& top, Pins& pins) {
    pins.rst = &top.rst;
#if MICRODUET_MEMORY_CLOCK
    pins.mem_rst = &top.mem_rst;
#else
    static uint8_t no_reset;
    pins.mem_rst = &no_reset;
#endif
    pins.probe_vector = &top.probe_vector;
    pins.interrupt = &top.__SYM__interrupt;  // Verilator keeps clear of words that C++ compilers know
    pins.items = MICRODUET_STREAM(s_axis_items);
#if MICRODUET_USERS
    pins.users = MICRODUET_STREAM(s_axis_users);
#else
    pins.users = {};
#endif
    pins.load = MICRODUET_STREAM(s_axis_load);
    pins.results = MICRODUET_STREAM(m_axis_results);
    pins.result_words = MICRODUET_RESULT_WORDS;
    bind_control(top, pins);
    MICRODUET_CHANNELS(MICRODUET_BIND_CHANNEL)
    MICRODUET_COUNTERS(MICRODUET_BIND_COUNTER)
}

}  // namespace microduet

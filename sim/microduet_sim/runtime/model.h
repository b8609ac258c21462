// A Verilated engine, whatever its structure.
#pragma once

#include <cstdint>
#include <memory>

#include "clocks.h"
#include "operand_record.h"
#include "pins.h"

namespace microduet {

class Model {
  public:
    virtual ~Model() = default;

    // Rising edges; the inputs hold what was set before, and `changed` says which have been set.
    virtual void rise(Edge edge, Changes changed) = 0;

    // Inputs have changed and no clock has: bring combinational outputs up to date.
    virtual void settle() = 0;

    // Begin or end a wave file; false if this build has none.
    virtual bool open_wave(const char*) { return false; }
    virtual void close_wave() {}
    virtual void dump_wave(uint64_t) {}

    Pins pins;
    OperandRecord record;  // of composites; others leave it empty
};

// Defined by the build: the composite or the flat engine.
std::unique_ptr<Model> make_model();

}  // namespace microduet

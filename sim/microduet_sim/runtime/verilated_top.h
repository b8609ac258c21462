// The Verilated top module with its clocks and its waves.
#pragma once

#include <memory>

#include "bind.h"
#include "model.h"
#include "verilated.h"

// Whether to evaluate by phases: with one clock, or for waves, the model's own evaluation does.
#define MICRODUET_PHASES (MICRODUET_MEMORY_CLOCK && !MICRODUET_TOGGLE && !VM_TRACE)
#if MICRODUET_PHASES
#include "phases.h"
#endif
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using VerilatedWave = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using VerilatedWave = VerilatedVcdC;
#endif

namespace microduet {

class VerilatedTop {
  public:
    VerilatedTop() : context_(new VerilatedContext), top_(new Vmodel(context_.get())) {
        context_->fatalOnError(true);
#if VM_TRACE
        context_->traceEverOn(true);
#endif
        top_->eval();
    }
    ~VerilatedTop() {
        close_wave();
        top_->final();
    }

    Vmodel& top() { return *top_; }
    void settle() { top_->eval(); }

    // Rising edges, with the inputs that have changed since the edge before.
    void rise(Edge edge, Changes changed) {
#if !MICRODUET_PHASES
        (void)changed;
        clock(edge, 0);
        clock(edge, 1);
#else
        phases_.rise(edge, changed);
#endif
    }

    bool open_wave(const char* path) {
#if VM_TRACE
        wave_.reset(new VerilatedWave);
        top_->trace(wave_.get(), 99);
        wave_->open(path);
        return wave_->isOpen();
#else
        (void)path;
        return false;
#endif
    }
    void close_wave() {
#if VM_TRACE
        if (wave_) wave_->close();
        wave_.reset();
#endif
    }

    // The state after the edge at `ps`.
    void dump_wave(uint64_t ps) {
#if VM_TRACE
        if (wave_) wave_->dump(ps);
#else
        (void)ps;
#endif
    }

  private:
    // The clocks of `edge` take a level.
    void clock(Edge edge, uint8_t level) {
        if (edge.engine) top_->clk = level;
#if MICRODUET_MEMORY_CLOCK
        if (edge.memory) top_->mem_clk = level;
#endif
        top_->eval();
    }

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vmodel> top_;
#if MICRODUET_PHASES
    Phases phases_{*top_};
#endif
#if VM_TRACE
    std::unique_ptr<VerilatedWave> wave_;
#endif
};

}  // namespace microduet

// The Verilated top module with its clocks and its waves.
#pragma once

#include <memory>

#include "bind.h"
#include "model.h"
#include "phases.h"
#include "verilated.h"
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
#if MICRODUET_TOGGLE || VM_TRACE
        (void)changed;
        if (edge.engine) top_->clk = 0;
        if (edge.memory) top_->mem_clk = 0;
        top_->eval();
        if (edge.engine) top_->clk = 1;
        if (edge.memory) top_->mem_clk = 1;
        top_->eval();
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
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vmodel> top_;
#if !MICRODUET_TOGGLE && !VM_TRACE
    Phases phases_{*top_};
#endif
#if VM_TRACE
    std::unique_ptr<VerilatedWave> wave_;
#endif
};

}  // namespace microduet

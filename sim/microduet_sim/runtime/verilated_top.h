// The Verilated top module with its clocks and its waves.
#pragma once

#include <memory>

#include "bind.h"
#include "model.h"
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

    void rise(Edge edge) {
#if MICRODUET_TOGGLE || VM_TRACE
        fall(edge);
#else
        // The clock pins stay high, and the model is told that they were low: it saves the evaluation of falling
        // edges, at which nothing happens.
        if (edge.engine) top_->rootp->__Vtrigprevexpr___TOP__clk__0 = 0;
        if (edge.memory) top_->rootp->__Vtrigprevexpr___TOP__mem_clk__0 = 0;
#endif
        if (edge.engine) top_->clk = 1;
        if (edge.memory) top_->mem_clk = 1;
        top_->eval();
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

    // The state after the edge at `ps`, and the falling edges of both clocks before it.
    void dump_wave(uint64_t ps) {
#if VM_TRACE
        if (wave_) wave_->dump(ps);
#else
        (void)ps;
#endif
    }

  private:
    void fall(Edge edge) {
        if (edge.engine) top_->clk = 0;
        if (edge.memory) top_->mem_clk = 0;
        top_->eval();
    }

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vmodel> top_;
#if VM_TRACE
    std::unique_ptr<VerilatedWave> wave_;
#endif
};

}  // namespace microduet

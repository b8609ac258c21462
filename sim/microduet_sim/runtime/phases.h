// Evaluates a Verilated model by its phases, to leave out those in which nothing can change.
//
// Verilator's eval() first brings logic up to date that hangs on inputs, whether one has changed or not, then looks for
// clock edges until there are none. Here the runtime knows both. Every phase is Verilator's own function.
#pragma once

#include "Vmodel.h"
#include "Vmodel___024root.h"
#include "clocks.h"
#include "quiet_side.h"

bool Vmodel___024root___eval_phase__ico(Vmodel___024root* vlSelf);
bool Vmodel___024root___eval_phase__act(Vmodel___024root* vlSelf);
bool Vmodel___024root___eval_phase__nba(Vmodel___024root* vlSelf);

namespace microduet {

class Phases {
  public:
    explicit Phases(Vmodel& top) : top_(top), root_(top.rootp), quiet_(*top.rootp) {}

    // Rising edges, with the inputs that have changed since the edge before.
    void rise(Edge edge, Changes changed) {
        if (changed) settle();
        if (changed.memory || (changed.engine && quiet_.disturbed())) quiet_.wake();
        if (edge.memory && quiet_.asleep()) edge.memory = false;
        if (!edge.engine && !edge.memory) return;
        // The clock pins stay high, and the model is told that they were low: falling edges, at which nothing happens,
        // need no evaluation.
        top_.clk = top_.mem_clk = 1;
        root_->__Vtrigprevexpr___TOP__clk__0 = !edge.engine;
        root_->__Vtrigprevexpr___TOP__mem_clk__0 = !edge.memory;
        Vmodel___024root___eval_phase__act(root_);
        const bool watched = edge.memory && quiet_.watches(!edge.engine);
        if (watched) quiet_.before();
        Vmodel___024root___eval_phase__nba(root_);
        if (watched) quiet_.after();
    }

  private:
    void settle() {
        root_->__VicoFirstIteration = 1;
        Vmodel___024root___eval_phase__ico(root_);
        root_->__VicoFirstIteration = 0;
    }

    Vmodel& top_;
    Vmodel___024root* root_;
    QuietSide quiet_;
};

}  // namespace microduet

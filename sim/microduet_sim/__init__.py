"""Simulation: the Verilator build and its cache, the runtime that clocks the model, the memory behind its ports."""

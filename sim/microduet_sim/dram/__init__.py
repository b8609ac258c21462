"""DRAM in the simulation: its parameters, traces replayed on one channel, and the model behind a bench's port."""

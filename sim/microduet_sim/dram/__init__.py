"""DRAM in the simulation: its parameters, the channels behind an engine's ports, traces replayed on one channel."""

from typing import Literal

Memory = Literal["dram", "simple"]
"""What answers an engine's reads: the timing of real chips, or a fixed time."""

"""DRAM in the simulation: its parameters, the channels behind an engine's ports, traces replayed on one channel."""

from typing import Literal

Memory = Literal["dram", "simple"]
"""What answers an engine's reads: the timing of real chips, or a fixed time."""

RefreshMode = Literal["aligned", "staggered", "off", "single-bank", "postponed"]
"""aligned, staggered: all banks, of all channels at once or of one after the other. single-bank: one bank at a time,
staggered (HBM only). postponed: as staggered, but a refresh that is due waits, up to 8 intervals, for the end of the
next work."""

Profile = Literal["default", "microrec"]
"""default: what the card's memory allows. microrec: the reader of the MicroRec paper, 32 bits wide with one read under
way, its front end fitted to one of the paper's measurements."""

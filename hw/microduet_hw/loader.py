"""Takes weights, parameters and on-chip tables in, beat by beat, and writes them where they belong."""

import enum
from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import StreamMaster
from microduet_hw.crc import crc32

DATA_BITS = 448

BEAT = data.StructLayout(
    {
        "data": unsigned(DATA_BITS),
        "row": unsigned(24),
        "unit": unsigned(16),
        "chunk": unsigned(8),
        "target": unsigned(8),
        "commit": unsigned(1),
        "check": unsigned(1),
        "reserved": unsigned(6),
    }
)
"""One beat of `s_axis_load`, lowest field first."""


class Target(enum.IntEnum):
    """Kinds of memories that are loaded."""

    WEIGHTS = 0
    PARAMETERS = 1
    OUTPUT_WEIGHTS = 2
    OUTPUT_PARAMETERS = 3
    SIGMOID = 4
    ONCHIP = 5
    MODEL = 6
    """Constants of a model version: an edge unit's, or an engine's for its users."""
    USER_WEIGHTS = 7
    """The user's columns of a layer."""
    USER_BIAS = 8
    """What its sums begin with."""


class Loader(wiring.Component):
    """Gathers a word's chunks and hands the word out.

    Latency: one cycle from the beat that commits to `o_valid`, and from a beat to `o_check`.
    Throughput: a beat per cycle.
    Back-pressure: beats wait until `i_idle`.
    Reset: no word begun, no beat taken.

    Parameters
    ----------
    word_bits : bits of the widest word
    reads : whether beats can ask for a row to be read

    Members
    -------
    s_axis_load : AXI4-Stream of `BEAT`s
    i_idle : no item is in the engine, and nothing is read
    o_valid : one bit per `Target`, at most one set: write this word now; words for other targets are dropped
    o_reads : the same of a beat with `check`: read what is there, write nothing; only with `reads`, or it is written
    o_unit, o_row, o_data : where, and what; where stays until another beat is taken
    o_check : ``zlib.crc32`` of all beats that were taken since the reset, 64 bytes each
    """

    s_axis_load: Any
    i_idle: Signal
    o_valid: Signal
    o_reads: Signal
    o_unit: Signal
    o_row: Signal
    o_data: Signal
    o_check: Signal

    def __init__(self, *, word_bits: int, reads: bool = False) -> None:
        self._reads = reads
        self._chunks = -(-word_bits // DATA_BITS)
        if not 1 <= self._chunks <= 256:
            raise ValueError(f"word_bits must be 1 to {256 * DATA_BITS}, not {word_bits!r}")
        super().__init__(
            {
                "s_axis_load": In(StreamMaster(bits=BEAT.size)),
                "i_idle": In(1),
                "o_valid": Out(len(Target)),
                **({"o_reads": Out(len(Target))} if reads else {}),
                "o_unit": Out(16),
                "o_row": Out(24),
                "o_data": Out(word_bits),
                "o_check": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = data.View(BEAT, self.s_axis_load.tdata)
        chunks = [Signal(DATA_BITS, reset_less=True, name=f"chunk_{k}") for k in range(self._chunks)]
        m.d.comb += self.s_axis_load.tready.eq(self.i_idle)
        taken = self.s_axis_load.tvalid & self.s_axis_load.tready
        word = Signal(len(Target))
        m.d.comb += word.eq(Cat(beat.commit & (beat.target == target) for target in Target))
        m.d.sync += self.o_valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                self.o_unit.eq(beat.unit),
                self.o_row.eq(beat.row),
                self.o_valid.eq(word),
            ]
            for k, chunk in enumerate(chunks):
                with m.If(beat.chunk == k):
                    m.d.sync += chunk.eq(beat.data)
        m.d.comb += self.o_data.eq(Cat(*chunks))
        if self._reads:
            m.d.sync += self.o_reads.eq(0)
            with m.If(taken & beat.check):
                m.d.sync += [self.o_valid.eq(0), self.o_reads.eq(word)]
        m.submodules.taken_sum = crc32(take=taken, data=self.s_axis_load.tdata, check=self.o_check)
        return m

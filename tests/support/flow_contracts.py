"""The compute side as a whole: whatever its neighbours do, items that are in it come out."""

from amaranth.hdl import Assert, Cover, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from microduet_hw.config import EngineConfig
from tests.support.compute import Compute

ITEMS = 31
"""Items that are counted at once; more do not fit in."""


class ComputeFlow(wiring.Component):
    """`Compute`: a vector that has come has its result after `patience` cycles in which nobody kept it from leaving.

    Places are reserved, vectors come and results are taken whenever the proof wants; headers are there in time.
    Vectors, of one word, and weights are zeros, for nothing waits because of a value.

    Parameters
    ----------
    config : the engine
    patience : cycles
    """

    def __init__(self, *, config: EngineConfig, patience: int) -> None:
        self._config, self._patience = config, patience
        super().__init__({"reserve": In(1), "send": In(1), "take": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Compute(config=self._config)
        owed, inside, headers = (Signal(range(ITEMS + 1), name=name) for name in ("owed", "inside", "headers"))
        reserves, sends, leaves, named = (Signal(name=name) for name in ("reserves", "sends", "leaves", "named"))
        silent = Signal(range(self._patience + 1))
        m.d.comb += [
            reserves.eq(self.reserve & dut.o_space),
            sends.eq(self.send & (owed != 0)),
            leaves.eq(dut.o_results.valid & dut.o_results.ready),
            named.eq(dut.i_headers.valid & dut.i_headers.ready),
            dut.i_reserve.eq(reserves),
            dut.i_words.valid.eq(sends),
            dut.i_words.p.last.eq(1),
            dut.i_headers.valid.eq(headers != 0),
            dut.o_results.ready.eq(self.take),
        ]
        m.d.sync += [
            owed.eq(owed + reserves - sends),
            headers.eq(headers + reserves - named),
            inside.eq(inside + sends - leaves),
        ]
        with m.If((inside == 0) | leaves):
            m.d.sync += silent.eq(0)
        with m.Elif(~dut.o_results.valid):
            m.d.sync += silent.eq(silent + 1)
        m.d.comb += [Assert(silent < self._patience), Cover(leaves & (inside > 2))]
        return m

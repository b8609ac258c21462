"""Sums of histories that are kept up to date, entry by entry, instead of being summed for every query."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.edge.config import EdgeConfig


def entry_layout(config: EdgeConfig) -> data.ArrayLayout:
    """A row of an entry: the first element lowest."""
    return data.ArrayLayout(signed(config.element_bits), config.row_elements)


def sums_layout(config: EdgeConfig) -> data.ArrayLayout:
    """A row of sums: the first element's lowest."""
    return data.ArrayLayout(signed(config.sum_bits), config.row_elements)


def sum_rows(config: EdgeConfig) -> int:
    """Rows of the sums of all histories."""
    return config.pooled_elements // config.row_elements


def sum_step_layout(config: EdgeConfig) -> data.StructLayout:
    """What is done with a row of sums; flags that are not set leave their term out, as zero."""
    return data.StructLayout(
        {
            "row": range(max(2, sum_rows(config))),
            "read": 1,  # starts from the row's sums
            "chain": 1,  # starts from the last step's result
            "add": 1,  # adds the new entry
            "subtract": 1,  # subtracts the old entry
            "write": 1,  # the result becomes the row's sums
            "test": 1,  # the result should be zero
        }
    )


class RunningSums(wiring.Component):
    """Keeps the sums of all histories, row by row, group by group::

        result = (sums or last result or 0) + (new or 0) - (old or 0)

    which is exact: partial results may wrap round, a sum that fits `config.sum_bits` does not.

    Latency: `o_base` and the write one cycle after their step, `o_differs` two.
    Throughput: a step per cycle, but a row must not be read in the cycle after a step that writes it.
    Back-pressure: steps are always taken.
    Reset: contents are undefined until written.

    Parameters
    ----------
    config : the unit's configuration

    Members
    -------
    i_step : stream of steps, always ready
    i_new, i_old : a row of the entry that comes and of the one that goes, in the cycle after their step
    o_base : what that step starts from
    o_differs : a step's result was to be zero and is not
    """

    i_step: stream.Interface
    i_new: data.View
    i_old: data.View
    o_base: data.View
    o_differs: Signal

    def __init__(self, *, config: EdgeConfig) -> None:
        self._config = config
        super().__init__(
            {
                "i_step": In(stream.Signature(sum_step_layout(config), always_ready=True)),
                "i_new": In(entry_layout(config)),
                "i_old": In(entry_layout(config)),
                "o_base": Out(sums_layout(config)),
                "o_differs": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout: Any = sums_layout(self._config)
        # A memory of one row would have an address of no bits, which Verilog can't write.
        m.submodules.sums = sums = memory.Memory(shape=layout, depth=max(2, sum_rows(self._config)), init=[])
        read, write = sums.read_port(), sums.write_port()
        step: Any = Signal(self.i_step.p.shape(), reset_less=True)
        last: Any = Signal(layout, reset_less=True)
        result, due, tested = Signal(layout), Signal(), Signal()
        m.d.sync += [due.eq(self.i_step.valid), tested.eq(due & step.test)]
        with m.If(self.i_step.valid):
            m.d.sync += step.eq(self.i_step.p)
        with m.If(due):
            m.d.sync += last.eq(result)
        for lane in range(self._config.row_elements):
            base, new, old = self.o_base[lane], self.i_new[lane], self.i_old[lane]
            m.d.comb += [
                base.eq(Mux(step.read, read.data[lane], Mux(step.chain, last[lane], 0))),
                result[lane].eq(base + Mux(step.add, new, 0) - Mux(step.subtract, old, 0)),
            ]
        m.d.comb += [
            read.addr.eq(self.i_step.p.row),
            read.en.eq(self.i_step.valid & self.i_step.p.read),
            write.addr.eq(step.row),
            write.data.eq(result),
            write.en.eq(due & step.write),
            self.o_differs.eq(tested & last.as_value().any()),
        ]
        return m

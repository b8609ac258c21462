"""The lookup unit: item packets in, assembled vectors out, a read port per memory channel."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import ReadMaster, StreamMaster
from microduet_hw.config import AXI_BYTES, EngineConfig

ITEM_BITS = 512
"""Width of a beat of an item packet."""


def word_layout(config: EngineConfig) -> data.StructLayout:
    """One word of an assembled vector: `config.input_lanes` elements, the first in the lowest bits."""
    return data.StructLayout({"data": config.input_lanes * config.precision.width, "last": 1})


def header_layout() -> data.StructLayout:
    """What goes with a vector round the arithmetic: the item's tag and its status flags."""
    return data.StructLayout({"tag": 32, "status": 8})


def port_name(source: int) -> str:
    """Name of the AXI port of memory channel `source`."""
    return f"m_axi_{source:02}"


class LookupUnit(wiring.Component):
    """Looks up the rows of every item, sums the pooled ones and sends the vectors to the engine in the items' order.

    Throughput: an item per `config.vector_slots` slots in flight; a word of a vector per engine cycle.
    Back-pressure: an item is taken when a slot is free; `o_words` cannot be stopped, so a vector starts only when
    `i_space` says that all of it has room.
    Reset: both domains together; no read may be in flight.

    Parameters
    ----------
    config : the engine's configuration

    Members
    -------
    s_axis_items : item packets (domain mem)
    m_axi_NN : read port of memory channel NN, the number of its source (mem)
    i_run, i_limit : items are taken while `i_run`; at most `i_limit` since its rising edge, 0 for no limit (mem)
    write_valid, write_source, write_row, write_data : write a word of the on-chip bank of source `write_source`;
        `write_row` counts words of 32 bytes of its address space (sync)
    o_words : words of a vector, one per cycle, in order (sync)
    o_header : tag and status of the vector that starts (sync)
    i_space : a whole vector has room behind `o_words` (sync)
    o_reserve : a vector starts, in the cycle in which `i_space` was seen; its first word follows (sync)
    o_complete : one pulse per vector completed (mem)
    o_reads, o_stalls : per memory channel, in the order of `config.channels`: reads issued; cycles in which a read
        was ready and could not be issued (mem)
    """

    s_axis_items: wiring.PureInterface
    i_run: Signal
    i_limit: Signal
    write_valid: Signal
    write_source: Signal
    write_row: Signal
    write_data: Signal
    o_words: stream.Interface
    o_header: stream.Interface
    i_space: Signal
    o_reserve: Signal
    o_complete: Signal
    o_reads: data.View
    o_stalls: data.View

    def __init__(self, *, config: EngineConfig) -> None:
        self._config = config
        counters = data.ArrayLayout(unsigned(32), len(config.channels))
        super().__init__(
            {
                "s_axis_items": In(StreamMaster(bits=ITEM_BITS)),
                **{port_name(source): Out(ReadMaster()) for source in config.channels},
                "i_run": In(1),
                "i_limit": In(32),
                "write_valid": In(1),
                "write_source": In(8),
                "write_row": In(24),
                "write_data": In(8 * AXI_BYTES),
                "o_words": Out(stream.Signature(word_layout(config), always_ready=True)),
                "o_header": Out(stream.Signature(header_layout())),
                "i_space": In(1),
                "o_reserve": Out(1),
                "o_complete": Out(1),
                "o_reads": Out(counters),
                "o_stalls": Out(counters),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return Module()

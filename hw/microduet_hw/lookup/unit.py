"""The lookup unit: item packets in, assembled vectors out, a read port per memory channel."""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.activation import word_layout
from microduet_hw.axi import ReadMaster, StreamMaster
from microduet_hw.config import EngineConfig
from microduet_hw.lookup.assembler import Assembler
from microduet_hw.lookup.geometry import ITEM_BITS, SourcePlan, dense_beats, index_beats, source_plan
from microduet_hw.lookup.intake import PacketIntake
from microduet_hw.lookup.joiner import Joiner, joined
from microduet_hw.lookup.layouts import bank_word_bits
from microduet_hw.lookup.onchip import OnChipBank
from microduet_hw.lookup.pooling import PoolingAdder
from microduet_hw.lookup.reader import ChannelReader
from microduet_hw.lookup.router import Router
from microduet_hw.lookup.spread_router import SpreadRouter
from microduet_hw.lookup.write_crossing import WriteCrossing
from microduet_hw.status import HEADER


def port_name(source: int) -> str:
    """Name of the AXI port of memory channel `source`."""
    return f"m_axi_{source:02}"


class LookupUnit(wiring.Component):
    """Looks up the rows of every item, sums the pooled ones and sends the vectors to the engine in the items' order.

    Latency: the router's, the source's and its memory's to an item's last row; from there to the vector's first word
    `Assembler`'s, after `PoolingAdder`'s and `Joiner`'s where rows are summed.
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
        `write_row` counts words of 32 bytes of its address space; `write_data` is of `bank_word_bits` (sync)
    o_words : words of a vector, one per cycle, in order (sync)
    o_header : the header of the vector that starts (sync)
    i_space : a whole vector has room behind `o_words` (sync)
    o_reserve : a vector starts, in the cycle in which `i_space` was seen; its first word follows (sync)
    o_complete : one pulse per vector completed (mem)
    o_reads, o_stalls, o_strays : per memory channel, in the order of `config.channels`: reads issued; cycles in which
        a read was ready and could not be issued; beats that came although nobody had asked for them (mem)
    """

    s_axis_items: Any
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
    o_strays: data.View

    def __init__(self, *, config: EngineConfig) -> None:
        self._config = config
        # At least one: Verilog has no empty vectors.
        counters = data.ArrayLayout(unsigned(32), max(1, len(config.channels)))
        super().__init__(
            {
                "s_axis_items": In(StreamMaster(bits=ITEM_BITS)),
                **{port_name(source): Out(ReadMaster()) for source in config.channels},
                "i_run": In(1),
                "i_limit": In(32),
                "write_valid": In(1),
                "write_source": In(8),
                "write_row": In(24),
                "write_data": In(bank_word_bits(checked=config.row_check)),
                "o_words": Out(
                    stream.Signature(word_layout(config.input_lanes * config.precision.width), always_ready=True)
                ),
                "o_header": Out(stream.Signature(HEADER)),
                "i_space": In(1),
                "o_reserve": Out(1),
                "o_complete": Out(1),
                "o_reads": Out(counters),
                "o_stalls": Out(counters),
                "o_strays": Out(counters),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        used = [number for number, source in enumerate(config.sources) if source.parts]
        plans = tuple(source_plan(config, number) for number in used)
        m.submodules.intake = intake = PacketIntake(
            beats=index_beats(config) + dense_beats(config),
            watchdog=config.watchdog,
            slots=config.user.slots if config.user else 0,
        )
        router = SpreadRouter(config=config) if config.spread else Router(config=config, plans=plans)
        m.submodules.router = router
        numbers = {plan.source: number for number, plan in enumerate(plans)}
        groups = [[plans[numbers[k]] for k in group] for group in config.partners if group[0] in numbers]
        m.submodules.assembler = assembler = Assembler(config=config, plans=tuple(joined(group) for group in groups))
        wiring.connect(m, wiring.flipped(self.s_axis_items), intake.s_axis_items)
        wiring.connect(m, intake.o_beats, router.i)
        wiring.connect(m, intake.o_packet, assembler.i_packet)
        wiring.connect(m, router.o_dense, assembler.i_dense)
        wiring.connect(m, assembler.o_words, wiring.flipped(self.o_words))
        wiring.connect(m, assembler.o_header, wiring.flipped(self.o_header))
        m.d.comb += [
            intake.i_run.eq(self.i_run),
            intake.i_limit.eq(self.i_limit),
            intake.i_free.eq(assembler.o_free),
            intake.i_dealt.eq(router.o_dealt),
            assembler.i_start.eq(intake.o_start),
            assembler.i_space.eq(self.i_space),
            self.o_reserve.eq(assembler.o_reserve),
            self.o_complete.eq(assembler.o_complete),
        ]
        writes = self._writes(m)
        for place, group in enumerate(groups):
            rows = [self._rows(m, plan, router, numbers[plan.source], writes) for plan in group]
            wiring.connect(m, self._joined(m, group, rows), getattr(assembler, f"i_rows_{place}"))
        return m

    def _joined(self, m: Module, group: list[SourcePlan], rows: list[stream.Interface]) -> stream.Interface:
        """The rows of a group of partners as one stream; those of a lone source are one."""
        if len(group) == 1:
            return rows[0]
        m.submodules[f"joiner_{group[0].source:02}"] = joiner = Joiner(config=self._config, plans=tuple(group))
        for number, sums in enumerate(rows):
            wiring.connect(m, sums, getattr(joiner, f"i_sums_{number}"))
        return joiner.o

    def _rows(
        self,
        m: Module,
        plan: SourcePlan,
        router: Router | SpreadRouter,
        number: int,
        writes: stream.Interface | None,
    ) -> stream.Interface:
        """Rows, and sums of those, of a source, which takes its lookups from the router."""
        source, lookups = self._source(m, plan, writes), router.o_lookups[number]
        m.d.comb += [source.lookups.valid.eq(lookups.valid), source.lookups.payload.eq(lookups.payload)]
        if isinstance(router, SpreadRouter):
            m.d.comb += lookups.ready.eq(source.lookups.ready)
        else:
            m.d.comb += router.i_room[number].eq(source.o_room)
        if not plan.pooled and not plan.shared:
            return source.rows
        m.submodules[f"pooling_{plan.source:02}"] = pooling = PoolingAdder(config=self._config, plan=plan)
        wiring.connect(m, source.rows, pooling.i)
        return pooling.o

    def _source(self, m: Module, plan: SourcePlan, writes: stream.Interface | None) -> ChannelReader | OnChipBank:
        number = plan.source
        if number not in self._config.channels:
            m.submodules[f"bank_{number:02}"] = bank = OnChipBank(config=self._config, source=number)
            assert writes is not None
            m.d.comb += [
                bank.i_write.valid.eq(writes.valid & (writes.p.source == number)),
                bank.i_write.payload.eq(writes.p.word),
            ]
            return bank
        m.submodules[f"reader_{number:02}"] = reader = ChannelReader(config=self._config, source=number)
        wiring.connect(m, reader.m_axi, wiring.flipped(getattr(self, port_name(number))))
        place = self._config.channels.index(number)
        m.d.comb += [
            self.o_reads[place].eq(reader.o_reads),
            self.o_stalls[place].eq(reader.o_stalls),
            self.o_strays[place].eq(reader.o_strays),
        ]
        return reader

    def _writes(self, m: Module) -> stream.Interface | None:
        """The writes to the on-chip banks in their clock, if there are any banks."""
        if len(self._config.channels) == len(self._config.sources):
            return None
        m.submodules.writes = crossing = WriteCrossing(checked=self._config.row_check)
        m.d.comb += [
            crossing.i.valid.eq(self.write_valid),
            crossing.i.p.source.eq(self.write_source),
            crossing.i.p.word.row.eq(self.write_row),
            crossing.i.p.word.data.eq(self.write_data),
        ]
        return crossing.o

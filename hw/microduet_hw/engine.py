"""The engine: lookup, arrays, output layer, result, control. These components only connect."""

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from microduet_hw.array_wiring import connect_checked_pairs, connect_loader
from microduet_hw.axi import LiteMaster, ReadMaster, StreamMaster
from microduet_hw.check_wiring import checked_memories, connect_check, connect_user_check
from microduet_hw.config import EngineConfig
from microduet_hw.loader import BEAT as LOAD_BEAT
from microduet_hw.loader import Loader, Target
from microduet_hw.lookup.geometry import ITEM_BITS
from microduet_hw.lookup.layouts import bank_word_bits
from microduet_hw.lookup.unit import LookupUnit, port_name
from microduet_hw.output_layer import OutputLayer, output_layer_shape
from microduet_hw.pe import PAIR_BITS
from microduet_hw.pe_array import PairControl, PeArray, PeArrayShape, pe_array_shape
from microduet_hw.rank import RankStage
from microduet_hw.registers import ADDRESS_BITS, ControlRegisters
from microduet_hw.result import BEAT as RESULT_BEAT
from microduet_hw.result import ResultStage
from microduet_hw.user_packets import USER_BITS
from microduet_hw.user_shape import WEIGHT_BITS
from microduet_hw.user_stage import UserStage
from microduet_hw.user_wiring import connect_chain, connect_users, user_events
from microduet_hw.weight_check import WeightCheck


def outside(config: EngineConfig) -> dict[str, wiring.Member]:
    """Members that an engine shows to the world, whatever is inside."""
    return {
        "s_axi_control": In(LiteMaster(address_bits=ADDRESS_BITS)),
        "s_axis_items": In(StreamMaster(bits=ITEM_BITS)),
        "s_axis_load": In(StreamMaster(bits=LOAD_BEAT.size)),
        **({"s_axis_users": In(StreamMaster(bits=USER_BITS))} if config.user else {}),
        "m_axis_results": Out(StreamMaster(bits=RESULT_BEAT.size)),
        **{port_name(source): Out(ReadMaster()) for source in config.channels},
        "interrupt": Out(1),
        "probe_vector": Out(1),
    }


class EngineCore(Component):
    """The whole engine but its processing elements.

    Domains: `sync` for control, loads, arrays and results; `mem` for item packets and memory channels.

    Latency: of an item in an idle engine, `LookupUnit`'s to its first word, then the steps of every layer, what
    `PeArray` takes between them, and the score's.
    Throughput: an item per cycles of the array that has most steps for one, while rows come and results go as fast.
    Back-pressure: results that are not taken hold up items, and those their packets; load beats wait until no run is
    on and no user packet at work.
    Reset: both domains together, while no read is in flight. No item, no user and no run; what was loaded stays, but
    for the constants of users.

    Parameters
    ----------
    config : the engine's configuration

    Members
    -------
    As in docs/architecture.md: those of `outside`, and `array_K` (`PairControl`) per array.
    """

    s_axi_control: Any
    s_axis_items: Any
    s_axis_load: Any
    s_axis_users: Any
    m_axis_results: Any
    interrupt: Signal
    probe_vector: Signal

    def __init__(self, *, config: EngineConfig) -> None:
        self._config = config
        self._arrays = [pe_array_shape(config, array) for array in config.arrays]
        self._output = output_layer_shape(config)
        pairs = {f"array_{k}": Out(_pairs(shape)) for k, shape in enumerate(self._arrays)}
        super().__init__(outside(config) | pairs)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.lookup = lookup = LookupUnit(config=self._config)
        arrays = [PeArray(shape=shape) for shape in self._arrays]
        for k, array in enumerate(arrays):
            m.submodules[f"array_{k}"] = array
            if not self._config.weight_check:
                connect(m, array.pairs, flipped(getattr(self, f"array_{k}")))
        m.submodules.output = output = OutputLayer(shape=self._output)
        m.submodules.result = result = self._results()
        m.submodules.registers = registers = ControlRegisters(config=self._config)
        m.submodules.loader = loader = Loader(word_bits=self._word_bits(), reads=self._config.weight_check)

        idle, run, users = ~registers.o_run, registers.o_run, None
        if isinstance(result, RankStage):
            m.submodules.users = users = UserStage(config=self._config)
            connect_users(m, users, lookup=lookup, rank=result, loader=loader)
            connect(m, flipped(self.s_axis_users), users.s_axis_users)
            idle &= ~users.o_busy  # a user packet that is at work reads what would be loaded
        else:
            connect(m, lookup.o_header, result.i_headers)
        if self._config.weight_check:
            check = self._check(m, loader, arrays, output, registers)
            if users is not None:
                connect_user_check(m, check, users)
            run, idle = Signal(name="run"), idle & ~check.o_busy
            m.d.sync += run.eq(registers.o_run & ~check.o_busy)
        m.d.comb += loader.i_idle.eq(idle)
        connect(m, output.o_results, result.i_results)
        m.d.comb += output.i_return.eq(result.o_return)
        connect_chain(m, lookup, arrays, output, users)
        self._ports(m, lookup, result, registers, loader)
        m.d.comb += registers.i_loaded.eq(loader.o_check)
        m.submodules.run_sync = FFSynchronizer(run, lookup.i_run, o_domain="mem")
        self._control(m, lookup, arrays, result, registers, users=users)
        self._loads(m, loader, lookup, arrays, output)
        return m

    def _results(self) -> ResultStage | RankStage:
        logit_bits, places = self._config.precision.logit_width, self._output.places
        if self._config.user:
            return RankStage(user=self._config.user, logit_bits=logit_bits, places=places)
        return ResultStage(logit_bits=logit_bits, places=places)

    def _check(
        self, m: Module, loader: Loader, arrays: list[PeArray], output: OutputLayer, registers: ControlRegisters
    ) -> WeightCheck:
        """What reads weights on request; while it is busy no beat is taken and no item begins."""
        m.submodules.check = check = WeightCheck(memories=checked_memories(self._config))
        connect_check(m, check, loader, arrays, output)
        for k, array in enumerate(arrays):
            told, reading = array.pairs, getattr(check, f"memory_{2 * k}").read
            pairs = getattr(self, f"array_{k}")
            connect_checked_pairs(m, told, pairs, reading=reading, take=check.o_take, shift=check.o_shift)
        m.d.comb += registers.i_checked.eq(check.o_check)
        return check

    def _word_bits(self) -> int:
        output = self._output
        words = [
            bank_word_bits(checked=self._config.row_check),
            output.pe.weight_bits,
            output.requantiser.parameters.size,
        ]
        if self._config.weight_check:  # operands, which in fixed32 are wider than weights
            words += [pe.lanes * pe.operand_bits for pe in (output.pe, *(shape.pe for shape in self._arrays))]
        if self._config.user:
            words.append(self._config.user.lanes * WEIGHT_BITS)
        for shape in self._arrays:
            words += [shape.pe.weight_bits, shape.drain.requantiser.parameters.size]
        return max(words)

    def _ports(
        self,
        m: Module,
        lookup: LookupUnit,
        result: ResultStage | RankStage,
        registers: ControlRegisters,
        loader: Loader,
    ) -> None:
        connect(m, flipped(self.s_axis_items), lookup.s_axis_items)
        connect(m, flipped(self.s_axis_load), loader.s_axis_load)
        connect(m, flipped(self.s_axi_control), registers.s_axi_control)
        connect(m, result.m_axis_results, flipped(self.m_axis_results))
        for source in self._config.channels:
            connect(m, getattr(lookup, port_name(source)), flipped(getattr(self, port_name(source))))
        m.d.comb += [
            self.interrupt.eq(registers.interrupt),
            self.probe_vector.eq(lookup.o_complete),
        ]

    def _control(
        self,
        m: Module,
        lookup: LookupUnit,
        arrays: list[PeArray],
        result: ResultStage | RankStage,
        registers: ControlRegisters,
        *,
        users: UserStage | None,
    ) -> None:
        rank = result if isinstance(result, RankStage) else None
        left = result.o_return if rank is None else rank.o_item
        events: list[Value] = [Const(1), lookup.o_reserve, left]
        events.append(result.m_axis_results.tvalid & ~result.m_axis_results.tready)
        for array in arrays:
            events += [array.o_busy, array.o_starved, array.o_blocked]
        events += user_events(self._config, users, rank)
        m.d.comb += [
            lookup.i_limit.eq(registers.o_items),
            registers.i_result.eq(left),
            registers.i_events.eq(Cat(*events)),
            registers.i_reads.eq(lookup.o_reads),
            registers.i_stalls.eq(lookup.o_stalls),
            registers.i_strays.eq(lookup.o_strays),
        ]

    def _loads(
        self,
        m: Module,
        loader: Loader,
        lookup: LookupUnit,
        arrays: list[PeArray],
        output: OutputLayer,
    ) -> None:
        valid, unit, row, data = loader.o_valid, loader.o_unit, loader.o_row, loader.o_data
        m.d.comb += [
            lookup.write_valid.eq(valid[Target.ONCHIP]),
            lookup.write_source.eq(unit),
            lookup.write_row.eq(row),
            lookup.write_data.eq(data),
            output.load_weights.eq(valid[Target.OUTPUT_WEIGHTS]),
            output.load_parameters.eq(valid[Target.OUTPUT_PARAMETERS]),
            output.load_sigmoid.eq(valid[Target.SIGMOID]),
            output.load_row.eq(row),
            output.load_data.eq(data),
        ]
        for k, array in enumerate(arrays):
            connect_loader(m, loader, array, unit=k)


def _pairs(shape: PeArrayShape) -> PairControl:
    return PairControl(shape)


def pair_module(number: int) -> str:
    """Name of the module of array `number`'s pairs."""
    return f"pe_pair_{number}"


class Engine(Component):
    """An `EngineCore` and its pairs, both as instances of modules emitted once.

    Latency, Throughput, Back-pressure, Reset: as `EngineCore`.

    Parameters
    ----------
    config : the engine's configuration

    Members
    -------
    Those of `outside`.
    """

    def __init__(self, *, config: EngineConfig) -> None:
        self._config = config
        super().__init__(outside(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        clocks = {f"i_{name}": signal for name, signal in (("clk", ClockSignal()), ("rst", ResetSignal()))}
        memory_clocks = {"i_mem_clk": ClockSignal("mem"), "i_mem_rst": ResetSignal("mem")}
        ports: dict[str, Value] = {}
        for path, member, value in self.signature.flatten(self):
            ports[f"{'o' if member.flow is Out else 'i'}_{'__'.join(map(str, path))}"] = Value.cast(value)
        for k, array in enumerate(self._config.arrays):
            ports |= self._pairs(m, k, pe_array_shape(self._config, array), array.pes)
        m.submodules.core = Instance("engine_core", **clocks, **memory_clocks, **ports)
        return m

    def _pairs(self, m: Module, number: int, shape: PeArrayShape, pes: int) -> dict[str, Value]:
        """Instantiate the pairs of an array; the result are the core's ports towards them."""
        control: Any = _pairs(shape).create()
        bits, drain = shape.pe.chain_bits, shape.drain.requantiser.lanes
        chains = [Signal(bits, name=f"chain_{number}_{p}") for p in range(pes)]
        zero = Const(0, bits)
        clocks = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        told = ("x", "address", "first", "accumulate", "capture", "shift", "load", "load_pair", "load_half")
        for k in range(pes // 2):
            places = (k, k + pes // 2)
            m.submodules[f"pair_{number}_{k}"] = Instance(
                pair_module(number),
                **clocks,
                **{f"i_i_{name}": getattr(control, name) for name in told},
                i_i_index=Const(k, PAIR_BITS),
                **{f"i_i_chain_{h}": chains[p + drain] if p + drain < pes else zero for h, p in enumerate(places)},
                **{f"o_o_chain_{h}": chains[p] for h, p in enumerate(places)},
            )
        tail = [chains[p] if p < pes else zero for p in range(drain)]
        m.d.comb += control.tail.eq(Cat(*tail))
        core = {f"o_array_{number}__{name}": getattr(control, name) for name in told}
        return core | {f"i_array_{number}__tail": control.tail}

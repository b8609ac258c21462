"""The edge unit: messages in, answers out. It only connects."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from microduet_hw.axi import LiteMaster, ReadMaster, StreamMaster
from microduet_hw.edge.answers import AnswerSender
from microduet_hw.edge.arrays import word_bits
from microduet_hw.edge.check import EdgeCheck
from microduet_hw.edge.config import BEAT_BITS, EdgeConfig
from microduet_hw.edge.dispatcher import Dispatcher
from microduet_hw.edge.message import ANSWER_BITS, CONSTANTS
from microduet_hw.edge.message_buffer import MessageBuffer
from microduet_hw.edge.scratchpad import UserScratchpad
from microduet_hw.edge.static_path import StaticPath
from microduet_hw.edge.user_model import UserModel
from microduet_hw.loader import BEAT as LOAD_BEAT
from microduet_hw.loader import Loader, Target
from microduet_hw.lookup.unit import port_name
from microduet_hw.registers import ADDRESS_BITS, ControlRegisters


def outside(config: EdgeConfig) -> dict[str, wiring.Member]:
    """Members that an edge unit shows to the world: those of an engine, with messages for items."""
    return {
        "s_axi_control": In(LiteMaster(address_bits=ADDRESS_BITS)),
        "s_axis_items": In(StreamMaster(bits=BEAT_BITS)),
        "s_axis_load": In(StreamMaster(bits=LOAD_BEAT.size)),
        "m_axis_results": Out(StreamMaster(bits=ANSWER_BITS)),
        **{port_name(channel): Out(ReadMaster()) for channel in config.channels},
        "interrupt": Out(1),
        "probe_vector": Out(1),
    }


class EdgeUnit(Component):
    """Duet's hardware unit: histories, memoisation register, dynamic bottom MLP and user top MLP behind AXI.

    Latency: from a query's first beat to its payload's last, in an idle unit, a cycle per step of the dynamic and the
    top MLP and some 60 cycles; a click is seen by the next query its rows and some 10 cycles after its last beat.
    Throughput: the next query's vector is assembled while the top MLP computes.
    Back-pressure: messages wait. Each has exactly one answer, in their order.
    Reset: histories empty, no static inputs; constants and weights are to be loaded. Loading another model changes
    neither, so it needs a reset before, and a load must not meet an update in the background; where weights are checked
    it waits for one, and for every message that was taken, and messages wait while something is read.

    Parameters
    ----------
    config : the unit's configuration

    Members
    -------
    Those of `outside`; `probe_vector` pulses when a message's effect is complete.
    """

    s_axi_control: Any
    s_axis_items: Any
    s_axis_load: Any
    m_axis_results: Any
    interrupt: Signal
    probe_vector: Signal

    def __init__(self, *, config: EdgeConfig) -> None:
        self._config = config
        self._messages = MessageBuffer(config=config)
        self._dispatcher = Dispatcher(statics=config.static is not None)
        self._scratchpad = UserScratchpad(config=config)
        self._user_model = UserModel(config=config)
        self._static_path = StaticPath(config=config) if config.static else None
        self._answers = AnswerSender(config=config)
        self._registers = ControlRegisters(config=config)
        self._loader = Loader(word_bits=word_bits(config), reads=config.weight_check)
        self._check = EdgeCheck(config=config) if config.weight_check else None
        super().__init__(outside(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.messages = self._messages
        m.submodules.dispatcher = self._dispatcher
        m.submodules.scratchpad = self._scratchpad
        m.submodules.user_model = self._user_model
        m.submodules.answers = self._answers
        m.submodules.registers = self._registers
        m.submodules.loader = self._loader
        connect(m, self._scratchpad.o_sums, self._user_model.i_sums)
        connect(m, self._user_model.o_words, self._answers.i_words)
        connect(m, self._dispatcher.o_records, self._answers.i_records)
        self._take_messages(m)
        self._keep_history(m)
        self._answer_queries(m)
        self._update_statics(m)
        self._load(m)
        self._join_ports(m)
        self._count(m)
        return m

    def _take_messages(self, m: Module) -> None:
        """Messages to the dispatcher; whoever acts on one reads its rows."""
        messages, dispatcher, path = self._messages, self._dispatcher, self._static_path
        asking = dispatcher.o_query | self._user_model.o_context
        row = Mux(asking, self._user_model.o_row, self._scratchpad.o_entry_row)
        if path is not None:
            row = Mux(dispatcher.o_static | path.o_busy, path.o_row, row)
        m.d.comb += [
            messages.i_row.eq(row),
            messages.i_run.eq(self._registers.o_run),
            messages.i_release.eq(dispatcher.o_release),
            dispatcher.i_valid.eq(messages.o_valid if self._check is None else messages.o_valid & ~self._check.o_busy),
            dispatcher.i_header.eq(messages.o_header),
            dispatcher.i_status.eq(messages.o_status),
        ]

    def _keep_history(self, m: Module) -> None:
        scratchpad, dispatcher = self._scratchpad, self._dispatcher
        m.d.comb += [
            scratchpad.i_start.eq(dispatcher.o_history),
            scratchpad.i_read.eq(dispatcher.o_query),
            scratchpad.i_kind.eq(dispatcher.o_kind),
            scratchpad.i_group.eq(dispatcher.o_group),
            scratchpad.i_entry.eq(self._messages.o_row),
            dispatcher.i_history_busy.eq(scratchpad.o_busy),
            dispatcher.i_mismatch.eq(scratchpad.o_mismatch),
        ]

    def _answer_queries(self, m: Module) -> None:
        user_model, dispatcher, answers = self._user_model, self._dispatcher, self._answers
        m.d.comb += [
            dispatcher.i_query_ready.eq(user_model.o_ready),
            dispatcher.i_query_busy.eq(self._scratchpad.o_busy | user_model.o_context),
            user_model.i_start.eq(dispatcher.o_query),
            user_model.i_row.eq(self._messages.o_row),
            user_model.i_space.eq(answers.o_space),
            answers.i_reserve.eq(user_model.o_reserve),
        ]

    def _update_statics(self, m: Module) -> None:
        path, dispatcher = self._static_path, self._dispatcher
        if path is None:
            return
        m.submodules.static_path = path
        m.d.comb += [
            path.i_start.eq(dispatcher.o_static),
            path.i_tag.eq(self._messages.o_header.tag),
            path.i_row.eq(self._messages.o_row),
            path.i_hold.eq(dispatcher.o_query | self._user_model.o_busy),
            dispatcher.i_static_busy.eq(path.o_busy),
            dispatcher.i_memo_valid.eq(path.o_valid),
            dispatcher.i_memo_updating.eq(path.o_updating),
            dispatcher.i_memo_tag.eq(path.o_tag),
            dispatcher.i_memo_status.eq(path.o_status if "static" in self._config.streams else 0),
            self._user_model.i_memo.eq(path.o_values),
        ]

    def _load(self, m: Module) -> None:
        """Words from the loader to whoever keeps them."""
        constants, loader = Signal(CONSTANTS), self._loader
        check = self._check
        loaded, idle = loader.o_valid[Target.MODEL], ~self._registers.o_run
        if check is not None:
            loaded, idle = loaded & (loader.o_unit == 0), idle & check.o_idle
            self._read_back(m, check, constants)
        with m.If(loaded):
            m.d.sync += constants.eq(loader.o_data)
        m.d.comb += [
            loader.i_idle.eq(idle),
            self._registers.i_loaded.eq(loader.o_check),
            self._messages.i_version.eq(constants.version),
            self._user_model.i_constants.eq(constants),
            self._answers.i_constants.eq(constants),
        ]
        names = ("o_valid", "o_unit", "o_row", "o_data") + (() if check is None else ("o_reads",))
        for part in (self._user_model, self._static_path, check):
            if part is not None:
                for name in names:
                    m.d.comb += getattr(part.load, name).eq(getattr(loader, name))

    def _read_back(self, m: Module, check: EdgeCheck, constants: data.View) -> None:
        """Have `check` read what was loaded, while nothing else is under way."""
        m.submodules.check = check
        m.d.comb += [
            check.i_constants.eq(constants),
            check.i_message.eq(self._messages.o_valid),
            check.i_updating.eq(self._static_path.o_updating if self._static_path is not None else 0),
            check.i_acted.eq(self._dispatcher.o_acted),
            check.i_sent.eq(self._answers.o_sent),
            self._registers.i_checked.eq(check.o_check),
        ]
        parts = {"dynamic": self._user_model, "static": self._static_path, "top": self._user_model}
        for name, stack in self._config.stacks.items():
            if stack is not None:
                connect(m, getattr(check, f"array_{name}"), getattr(parts[name], f"check_{name}"))

    def _join_ports(self, m: Module) -> None:
        connect(m, flipped(self.s_axis_items), self._messages.s_axis_items)
        connect(m, flipped(self.s_axis_load), self._loader.s_axis_load)
        connect(m, flipped(self.s_axi_control), self._registers.s_axi_control)
        connect(m, self._answers.m_axis_results, flipped(self.m_axis_results))
        m.d.comb += self.interrupt.eq(self._registers.interrupt)
        # Weights of background updates are read between runs too, from the first run on.
        running = Signal()
        begins: Value = self._registers.o_run
        if self._check is not None:
            begins = begins | self._check.o_again
            m.d.comb += self._check.i_ran.eq(running)
        with m.If(begins):
            m.d.sync += running.eq(1)
        parts = {"static": self._static_path, "top": self._user_model}
        for name in self._config.streams:
            part: Any = parts[name]
            m.d.comb += part.i_run.eq(running)
            for channel in self._config.stream_channels(name):
                connect(m, getattr(part, port_name(channel)), flipped(getattr(self, port_name(channel))))
        if self._config.top.streamed:
            m.d.comb += self._answers.i_status.eq(self._user_model.o_status)

    def _count(self, m: Module) -> None:
        """Events in the order of `config.counters`, and reads and stalls of the memory channels."""
        registers, user_model, path = self._registers, self._user_model, self._static_path
        port, events = self.m_axis_results, self._scratchpad.o_events
        counted: dict[str, Value] = {
            "cycles": Const(1),
            "messages": self._dispatcher.o_acted,
            "answers": self._answers.o_sent,
            "answer_stalls": port.tvalid & ~port.tready,
            "scratchpad_reads": events.scratchpad_reads,
            "scratchpad_writes": events.scratchpad_writes,
            "sum_reads": events.sum_reads,
            "sum_writes": events.sum_writes,
            "pooled_rows": self._scratchpad.o_sums.valid,
            "commits": path.o_commit if path else Const(0),
            "dynamic_steps": user_model.o_dynamic_step,
            "static_steps": path.o_step if path else Const(0),
            "top_steps": user_model.o_top_step,
            "top_starved": user_model.o_top_starved,
        }
        m.d.comb += [
            registers.i_result.eq(self._answers.o_sent),
            registers.i_events.eq(Cat(*(counted[name] for name in self._config.counters))),
            self.probe_vector.eq(self._dispatcher.o_acted),
        ]
        for number, channel in enumerate(self._config.channels):
            axi = getattr(self, port_name(channel))
            reads, stalls = Signal(32, name=f"reads_{channel}"), Signal(32, name=f"stalls_{channel}")
            with m.If(axi.arvalid):
                m.d.sync += [reads.eq(reads + axi.arready), stalls.eq(stalls + (axi.arready == 0))]
            strays = Signal(32, name=f"strays_{channel}")
            with m.If(axi.rvalid):
                m.d.sync += strays.eq(strays + (axi.rid != 0))  # all reads have ID 0
            m.d.comb += [
                registers.i_reads[number].eq(reads),
                registers.i_stalls[number].eq(stalls),
                registers.i_strays[number].eq(strays),
            ]

"""Deals the indices of items in spread tables out to the memory channels."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import EngineConfig
from microduet_hw.lookup.butterfly import Butterfly
from microduet_hw.lookup.endings import Endings
from microduet_hw.lookup.geometry import ITEM_WORDS, WORD_BITS, dense_beats
from microduet_hw.lookup.layouts import beat_layout, dense_layout, lookup_layout, routed_layout
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.spread import lanes, spread_schedule

LANE_DEPTH = 16
"""Rows and tokens that wait in front of each lane: the lanes are given a beat's words together."""


class SpreadRouter(wiring.Component):
    """Leads every index of an item to the channel that its lowest bits name, feature by feature.

    Each channel gets its own lookups alone; the last of a feature says so, and a channel without any gets an empty one.

    Latency: an index is offered at the earliest `latency` cycles after its beat.
    Throughput: a beat of 16 lookups per cycle, with 2^n < 16 channels in 16 / 2^n cycles; and one cycle per feature.
    Back-pressure: a channel that takes no lookups stops, in time, all of them.
    Reset: before an item.

    Parameters
    ----------
    config : the engine's configuration, of spread tables

    Members
    -------
    i : stream of beats, as many per item as its packet should have; of bad ones no index is used
    o_lookups : per channel, a stream of lookups, marked
    o_dense : beats of dense elements
    o_dealt : the last step of an item; its next step is the first of the next item

    Raises
    ------
    ValueError
        If not all tables are spread over all channels.

    Attributes
    ----------
    latency : cycles
    """

    i: stream.Interface
    o_lookups: list[stream.Interface]
    o_dense: stream.Interface
    o_dealt: Signal

    def __init__(self, *, config: EngineConfig) -> None:
        if not config.spread:
            raise ValueError(f"all tables must be spread over all channels, not those of {config.name!r}")
        self._lanes, self._channels = lanes(config), 1 << config.spread
        self._steps = spread_schedule(config, dense=dense_beats(config))
        self._control = data.StructLayout(
            {
                "last": 1,
                "next_takes": 1,
                "words": self._lanes,
                "group": range(max(2, ITEM_WORDS // self._lanes)),
                "token": 1,
                "dense": 1,
                "number": range(max(2, dense_beats(config))),
            }
        )
        self._butterfly = Butterfly(lanes=self._lanes, channels=self._channels)
        # The beat's register, the lane's queue, the butterfly; a row leaves with what comes behind it.
        self.latency = 1 + Queue.LATENCY + self._butterfly.latency + 1
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout())),
                "o_lookups": Out(stream.Signature(lookup_layout(marked=True))).array(self._channels),
                "o_dense": Out(stream.Signature(dense_layout(config), always_ready=True)),
                "o_dealt": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        loaded, go, step = Signal(), Signal(), Signal()
        control = self._walk(m, step)
        beat: Any = Signal(beat_layout(), reset_less=True)
        rooms = self._deal(m, step, control, beat)
        m.d.mem += go.eq(Cat(rooms).all())
        m.d.comb += [
            step.eq(loaded & go),
            self.i.ready.eq(~loaded | (step & control.next_takes)),
            self.o_dealt.eq(step & control.last),
            self.o_dense.valid.eq(step & control.dense),
            self.o_dense.p.number.eq(control.number),
            self.o_dense.p.data.eq(beat.data),
            self.o_dense.p.bad.eq(beat.bad),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.mem += [loaded.eq(1), beat.eq(self.i.payload)]
        with m.Elif(step & control.next_takes):
            m.d.mem += loaded.eq(0)
        m.submodules.butterfly = self._butterfly
        for number, lookups in enumerate(self.o_lookups):
            m.submodules[f"endings_{number}"] = endings = Endings()
            wiring.connect(m, self._butterfly.o[number], endings.i)
            wiring.connect(m, endings.o, wiring.flipped(lookups))
        return m

    def _deal(self, m: Module, step: Signal, control: Any, beat: Any) -> list[Value]:
        """Give the lanes what the step says; whether each has room for two more."""
        rooms: list[Value] = []
        for lane in range(self._lanes):
            m.submodules[f"lane_{lane}"] = queue = Queue(shape=routed_layout(), depth=LANE_DEPTH)
            wiring.connect(m, queue.o, self._butterfly.i[lane])
            m.d.comb += [
                queue.i.valid.eq(step & ((control.words[lane] & ~beat.bad) | control.token)),
                queue.i.p.token.eq(control.token),
            ]
            groups = range(lane, ITEM_WORDS, self._lanes)
            with m.Switch(control.group):
                for group, word in enumerate(groups):
                    with m.Case(group) if group < len(groups) - 1 else m.Default():
                        m.d.comb += queue.i.p.index.eq(beat.data.word_select(word, WORD_BITS))
            rooms.append(queue.o_room)
        return rooms

    def _walk(self, m: Module, step: Signal) -> Any:
        """What the step that is due does: a register, so that the schedule's logic is off the way of the indices."""
        control = Signal(self._control, init=self._encode(0))
        following = Signal(range(len(self._steps)), init=1)
        with m.If(step):
            m.d.mem += following.eq(following + 1)
            with m.If(following == len(self._steps) - 1):
                m.d.mem += following.eq(0)
            with m.Switch(following):
                for number in range(len(self._steps)):
                    with m.Case(number):
                        m.d.mem += control.eq(self._control.const(self._encode(number)))
        return control

    def _encode(self, number: int) -> dict[int | str, object]:
        step = self._steps[number]
        return {
            "last": number == len(self._steps) - 1,
            "next_takes": self._steps[(number + 1) % len(self._steps)].takes,
            "words": (1 << step.words) - 1,
            "group": step.first // self._lanes,
            "token": step.token,
            "dense": step.dense is not None,
            "number": step.dense or 0,
        }

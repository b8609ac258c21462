"""Components of the edge unit together with what they may assume and what they must keep, for proofs."""

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import data

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import HEADER, HISTORY_KINDS, EdgeStatus, Kind, is_known, message_beats, message_elements
from microduet_hw.edge.message_buffer import MessageBuffer
from microduet_hw.edge.tracker import LocationTracker
from tests.support.contracts import Contract


class TrackerContract(Contract):
    """`LocationTracker`: the entry that is overwritten is the oldest, and every slot takes its turn.

    Beside it stand the addresses of the last updates, the latest first, as they were seen at its ports.

    Parameters
    ----------
    slots, stride : what the tracker should be
    tracker : what it is, if not that
    """

    def __init__(self, *, slots: int, stride: int = 1, tracker: Any = None) -> None:
        self._slots, self._stride = slots, stride
        super().__init__(tracker or LocationTracker(slots=slots, stride=stride))

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        slots, stride, address = self._slots, self._stride, ports["o_address"]
        # Wide enough for whatever a wrong tracker says.
        recent = [Signal(len(address) + 1, name=f"recent_{k}") for k in range(slots)]
        known, overwrites = Signal(range(slots + 1)), Signal()
        with m.If(ports["i_clear"]):
            m.d.sync += known.eq(0)
        with m.Elif(ports["i_update"]):
            m.d.sync += [known.eq(known + (known != slots)), overwrites.eq(known == slots)]
            m.d.sync += [later.eq(sooner) for later, sooner in zip(recent, [address, *recent[:-1]], strict=True)]
        m.d.comb += [
            Assert(Cat(address == k * stride for k in range(slots)).any()),
            Assert(ports["o_count"] == known),
            Assert(ports["o_full"] == (known == slots)),
            # From an empty history on, slots are taken from the first.
            Assert(ports["o_full"] | (address == known * stride)),
            # The oldest is always the next to go.
            Assert(~ports["o_full"] | (address == recent[-1])),
            Cover(overwrites & ports["i_clear"]),
            Cover(overwrites & (address == (slots - 1) * stride) & ports["i_update"]),
        ]
        for k in range(slots):
            # The last updates went round backwards from here: with it, the other rules follow from cycle to cycle.
            back = Mux(address >= (k + 1) * stride, address - (k + 1) * stride, address + (slots - k - 1) * stride)
            m.d.comb += Assert((known <= k) | (recent[k] == back))
            # No slot that has an entry is written while another has none.
            m.d.comb += Assert((known <= k) | ports["o_full"] | (recent[k] != address))
            for j in range(k):
                # After as many updates as there are slots, each has been written once.
                m.d.comb += Assert((known <= k) | (recent[j] != recent[k]))


class MessageStands(Contract):
    """`MessageBuffer`: what it says of a message stands until it is released, and nothing is taken meanwhile."""

    def __init__(self, *, config: EdgeConfig, fault: bool = False) -> None:
        super().__init__(MessageBuffer(config=config), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        valid, said = ports["o_valid"], Cat(ports["o_header"], ports["o_status"])
        m.d.comb += [
            Assume(~ports["i_release"] | valid),
            Assert(self.holds(m, valid=valid, ready=ports["i_release"] & ~self.fault, payload=said)),
            Assert(~(valid & ports["s_axis_items__tready"])),
            Cover(ports["i_release"] & (ports["o_status"] == 0)),
            Cover(valid & (ports["o_status"] == EdgeStatus.LONG_PACKET | EdgeStatus.STALE_VERSION)),
        ]


class MessageCounts(Contract):
    """`MessageBuffer`: every packet becomes one message, which may act only if its length is the one of its kind.

    One whose host stops for as long as the watchdog waits becomes one there and then, and the rest of it becomes none.
    """

    def __init__(self, *, config: EdgeConfig, fault: bool = False) -> None:
        self._config = config
        super().__init__(MessageBuffer(config=config), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        bus = {name.removeprefix("s_axis_items__"): value for name, value in ports.items()}
        inside, done, beats, current = Signal(), Signal(), Signal(8), Signal()
        header, late, silent, gone = Signal(HEADER), Signal(), Signal(8), Signal()
        waits = inside & ~bus["tvalid"]
        m.d.sync += [silent.eq(Mux(waits, silent + 1, 0)), gone.eq(gone | late)]
        with m.If(bus["tvalid"] & late & ~done):
            m.d.sync += late.eq(~bus["tlast"])
        with m.Elif(bus["tvalid"] & bus["tready"]):
            m.d.sync += [inside.eq(~bus["tlast"]), done.eq(bus["tlast"]), beats.eq(beats + 1)]
            with m.If(~inside):
                came = data.View(HEADER, bus["tdata"][: HEADER.size])
                m.d.sync += [beats.eq(self.fault), header.eq(came), current.eq(came.version == ports["i_version"])]
        with m.Elif(waits & (silent == self._config.watchdog - 1)):
            m.d.sync += [inside.eq(0), late.eq(1), done.eq(1)]
        with m.If(ports["i_release"]):
            m.d.sync += done.eq(0)
        acts = (
            current
            & ~late
            & Cat(
                Cat(header.kind == kind, header.elements == message_elements(self._config, kind, group)).all()
                & (beats == message_beats(self._config, kind, group))
                & ((header.group == group) if kind in HISTORY_KINDS else 1)
                for kind in Kind
                for group in (range(len(self._config.histories)) if kind in HISTORY_KINDS else (0,))
                if is_known(self._config, kind, group)
            ).any()
        )
        m.d.comb += [
            Assume(~ports["i_release"] | ports["o_valid"]),
            Assert(bus["tready"] == (~ports["o_valid"] & (inside | late | ports["i_run"]))),
            Assert(ports["o_valid"] == done),
            Assert(~done | (ports["o_header"] == Value.cast(header))),
            Assert(~done | ((ports["o_status"] == 0) == acts)),
            Assert(~done | ((ports["o_status"] & EdgeStatus.TIMEOUT != 0) == late)),
            Cover(ports["i_release"] & acts & gone),
            *(Cover(ports["i_release"] & acts & (header.kind == kind)) for kind in Kind),
            *(Cover(ports["i_release"] & (ports["o_status"] == status)) for status in (8, 16, 32, 1 | 2 | 16 | 32)),
        ]

"""Components of the edge unit together with what they may assume and what they must keep, for proofs."""

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import HEADER, HISTORY_KINDS, EdgeStatus, Kind, is_known, message_beats, message_elements
from microduet_hw.edge.message_buffer import MessageBuffer
from microduet_hw.edge.scratchpad import UserScratchpad, pooled_layout
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


class ScratchpadReads(Contract):
    """`UserScratchpad`: what is read are sums of whole entries, before a click or after it, never of parts of one.

    Beside it stand the entries of its one history, the latest first, which change all at once when a command is over.
    """

    def __init__(self, *, config: EdgeConfig, fault: bool = False) -> None:
        self._config = config
        super().__init__(UserScratchpad(config=config), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        rows, slots = self._config.rows(0), self._config.histories[0].slots
        start, read, busy, kind = ports["i_start"], ports["i_read"], ports["o_busy"], ports["i_kind"]
        new, *entries = (
            [Signal(signed(self._config.element_bits), name=f"entry_{k}_{row}") for row in range(rows)]
            for k in range(slots + 1)
        )
        updates, age, place = Signal(), Signal(range(rows + 2)), Signal(range(rows))
        sums = data.View(pooled_layout(self._config), ports["o_sums__payload"])
        m.d.comb += [
            Assume(~(start & read)),
            Assume(~(start | read) | ~busy | self.fault),
            Assume(~start | ((kind <= Kind.CLEAR) & (ports["i_group"] == 0))),
        ]
        # A row of the new entry comes two cycles after the start, and then one in each.
        m.d.sync += age.eq(Mux(start | read, 0, age + (age != rows + 1)))
        for row, word in enumerate(new):
            with m.If(updates & (age == row + 1)):
                m.d.sync += word.eq(ports["i_entry"])
        with m.If(updates & ~busy):
            m.d.sync += updates.eq(0)
            for later, sooner in zip(entries, [new, *entries[:-1]], strict=True):
                m.d.sync += [word.eq(value) for word, value in zip(later, sooner, strict=True)]
        with m.If(start):
            m.d.sync += updates.eq(kind != Kind.CLEAR)
            with m.If(kind != Kind.CLICK):
                m.d.sync += [word.eq(0) for entry in entries for word in entry]
        with m.If(ports["o_sums__valid"]):
            m.d.sync += place.eq(Mux(sums.last, 0, place + 1))
        expected = Array(sum(entry[row] for entry in entries) for row in range(rows))[place]
        m.d.comb += [
            Assert(~ports["o_sums__valid"] | (sums.values[0] == expected)),
            Cover(ports["o_sums__valid"] & (place == rows - 1) & (sums.values[0] == 3) & (entries[1][0] == 2)),
        ]

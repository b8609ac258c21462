"""Components of the compute side together with what they may assume and what they must keep, for proofs."""

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from microduet_hw.activation import VECTORS, ActivationBuffer
from microduet_hw.bases import BaseRegisters
from microduet_hw.config import EngineConfig
from microduet_hw.places import RESULTS
from microduet_hw.registers import ControlRegisters
from microduet_hw.result import ResultStage
from microduet_hw.sequencer import Sequencer, SequencerShape
from tests.support.flow import Bare


class Contract(wiring.Component):
    """A component whose inputs are those of the proof; `rules` adds what is assumed, asserted and covered.

    Parameters
    ----------
    dut : the component
    fault : breaks the contract's view of the component on purpose: such a proof must fail
    """

    def __init__(self, dut: wiring.Component, *, fault: bool = False) -> None:
        self._dut, self.fault = Bare(dut), fault
        super().__init__({name: In(m.shape) for name, m in self._dut.signature.members.items() if m.flow is In})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = DomainRenamer({"mem": "sync"})(self._dut)  # induction takes one clock
        m.d.comb += [getattr(self._dut, name).eq(getattr(self, name)) for name in self.signature.members]
        self.rules(m, {name: Value.cast(getattr(self._dut, name)) for name in self._dut.signature.members})
        return m

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        """Add what is assumed, asserted and covered of the component's ports."""
        raise NotImplementedError

    def holds(self, m: Module, *, valid: Value, ready: Value, payload: Value) -> Value:
        """Whether an offer that was not taken in the cycle before still stands."""
        stalled, held = Signal(), Signal(payload.shape())
        m.d.sync += [stalled.eq(valid & ~ready), held.eq(payload)]
        return ~stalled | (valid & (payload == held))


class ResultContract(Contract):
    """`ResultStage`: an AXI4-Stream beat stands until it is taken, if results come only where there is a place."""

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(ResultStage(logit_bits=16), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        places = Signal(range(RESULTS + 1), init=RESULTS)
        valid, ready = ports["m_axis_results__tvalid"], ports["m_axis_results__tready"]
        data = ports["m_axis_results__tdata"]
        m.d.sync += places.eq(places + ports["o_return"] - ports["i_results__valid"])
        m.d.comb += [
            # Without its places a result could overwrite one that waits.
            Assume((places != 0) | self.fault | ~ports["i_results__valid"]),
            Assert(self.holds(m, valid=valid, ready=ready, payload=data)),
            Assert(ports["m_axis_results__tlast"]),
            Assert(ports["o_return"] == (valid & ready)),
            Assert(places <= RESULTS),
            Cover(valid & ready),
            Cover(valid & (places == 0)),
        ]


class LiteContract(Contract):
    """A component with AXI4-Lite ports: what masters and slaves keep at such a port."""

    def bus(self, ports: dict[str, Any], name: str) -> dict[str, Value]:
        """Signals of the port `name`, as the standard calls them."""
        return {port.removeprefix(f"{name}__"): port_of for port, port_of in ports.items() if port.startswith(name)}

    def offers_stand(self, m: Module, bus: dict[str, Value], *names: str) -> list[Value]:
        """What is offered in these channels stands until it is taken."""
        payloads = {
            "aw": bus["awaddr"],
            "w": Cat(bus["wdata"], bus["wstrb"]),
            "ar": bus["araddr"],
            "r": Cat(bus["rdata"], bus["rresp"]),
            "b": bus["bresp"],
        }
        return [
            self.holds(m, valid=bus[f"{name}valid"], ready=bus[f"{name}ready"], payload=Value.cast(payloads[name]))
            for name in names
        ]

    def taken(self, bus: dict[str, Value]) -> dict[str, Value]:
        """Channels in which something is taken in this cycle."""
        return {name: bus[f"{name}valid"] & bus[f"{name}ready"] for name in ("ar", "aw", "w", "r", "b")}

    def answers_once(self, m: Module, bus: dict[str, Value], *, fault: bool = False) -> list[Value]:
        """A slave takes address and data together, and has one answer for every request, from the next cycle on."""
        taken, reads, writes = self.taken(bus), Signal(), Signal()
        m.d.sync += [reads.eq(reads + taken["ar"] - taken["r"]), writes.eq(writes + taken["aw"] - taken["b"])]
        return [
            taken["aw"] == taken["w"],
            bus["rvalid"] == (reads ^ fault),
            bus["bvalid"] == writes,
            ~(reads & taken["ar"] & ~taken["r"]),
            ~(writes & taken["aw"] & ~taken["b"]),
        ]


class RegistersContract(LiteContract):
    """`ControlRegisters`: answers stand until taken, and every request gets exactly one."""

    def __init__(self, *, config: EngineConfig, fault: bool = False) -> None:
        super().__init__(ControlRegisters(config=config), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        bus = self.bus(ports, "s_axi_control")
        taken = self.taken(bus)
        m.d.comb += [
            *(Assume(rule) for rule in self.offers_stand(m, bus, "aw", "w", "ar")),
            *(Assert(rule) for rule in self.offers_stand(m, bus, "r", "b")),
            *(Assert(rule) for rule in self.answers_once(m, bus, fault=self.fault)),
            Cover(taken["r"] & (bus["rdata"] != 0)),
            Cover(taken["b"]),
            Cover(bus["rvalid"] & ~bus["rready"] & bus["arvalid"]),
            Cover(ports["interrupt"]),
            Cover(ports["o_run"]),
        ]


class BasesContract(LiteContract):
    """`BaseRegisters` in front of a slave that keeps the rules of `RegistersContract`: together they keep them too.

    Bases change by whole words that are written where they are, and are read as they are. No answer waits for more than
    `PATIENCE` cycles: with waits of any length, induction would begin in states that no reset leads to.
    """

    CHANNELS, PATIENCE = 1, 3

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(BaseRegisters(channels=self.CHANNELS), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        outer, inner = self.bus(ports, "s_axi_control"), self.bus(ports, "m_axi_control")
        slave = [*self.offers_stand(m, inner, "r", "b"), *self.answers_once(m, inner)]
        m.d.comb += [
            *(Assume(rule) for rule in self.offers_stand(m, outer, "aw", "w", "ar")),
            *(Assume(rule | self.fault) for rule in slave),
            *(Assert(rule) for rule in self.offers_stand(m, inner, "aw", "w", "ar")),
            *(Assert(rule) for rule in self.offers_stand(m, outer, "r", "b")),
            *(Assert(rule) for rule in self.answers_once(m, outer)),
        ]
        for bus, channel in ((outer, "b"), (outer, "r"), (inner, "aw"), (inner, "ar")):
            waited = Signal(name=f"waited_{channel}")
            m.d.sync += waited.eq(bus[f"{channel}valid"] & ~bus[f"{channel}ready"])
            m.d.comb += Cover(waited & self.taken(bus)[channel])
        for channel in ("r", "b"):
            waits = Signal(range(self.PATIENCE + 1), name=f"waits_{channel}")
            m.d.sync += waits.eq(Mux(outer[f"{channel}valid"] & ~outer[f"{channel}ready"], waits + 1, 0))
            m.d.comb += Assume(waits < self.PATIENCE)
        self._bases(m, ports, outer, inner)

    def _bases(self, m: Module, ports: dict[str, Any], outer: dict[str, Value], inner: dict[str, Value]) -> None:
        bases, taken, passed = ports["o_bases"], self.taken(outer), self.taken(inner)
        due, word, own = Signal(len(bases)), Signal(32), Signal()
        number, words = outer["awaddr"][2:-1], 2 * self.CHANNELS
        m.d.sync += due.eq(bases)
        with m.If(taken["aw"] & ~passed["aw"] & outer["wstrb"].all() & (number < words)):
            m.d.sync += due.word_select(number, 32).eq(outer["wdata"])
        with m.If(taken["ar"]):
            read = outer["araddr"][2:-1]
            m.d.sync += [own.eq(~passed["ar"]), word.eq(Mux(read < words, bases.word_select(read, 32), 0))]
        m.d.comb += [
            Assert(bases == due),
            Assert(~outer["rvalid"] | (outer["rdata"] == Mux(own, word, inner["rdata"]))),
            Assert(~taken["ar"] | (passed["ar"] == ~outer["araddr"][-1])),
            Assert(~taken["aw"] | (passed["aw"] == ~outer["awaddr"][-1])),
            Cover(taken["r"] & own & (outer["rdata"] != 0)),
        ]


class ActivationContract(Contract):
    """`ActivationBuffer`: equal to `vectors` vectors of registers, if producer and consumer keep their rules."""

    def __init__(self, *, words: int, bits: int = 1, vectors: int = VECTORS, fault: bool = False) -> None:
        self._words, self._bits, self._vectors = words, bits, vectors
        super().__init__(ActivationBuffer(words=words, bits=bits, vectors=vectors), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        reserve, release, sent = ports["i_reserve"], ports["i_release"], ports["i_words__valid"]
        data, last = ports["i_words__payload"][: self._bits], ports["i_words__payload"][self._bits]
        used, owed = Signal(range(self._vectors + 1)), Signal(range(self._vectors * self._words + 1))
        place = Signal(range(max(2, self._words)))
        m.d.sync += [used.eq(used + reserve - release), owed.eq(owed + Mux(reserve, self._words, 0) - sent)]
        with m.If(sent):
            m.d.sync += place.eq(Mux(last, 0, place + 1))
        m.d.comb += [
            Assume(~reserve | (used != self._vectors) | self.fault),
            Assume(~sent | ((owed != 0) & (last == (place == self._words - 1)))),
            Assume(~release | (ports["o_count"] == self._words)),
            Assert(ports["o_space"] == (used != self._vectors)),
            Assert(ports["o_count"] <= self._words),
        ]
        self._contents(m, ports, data=data, last=last)

    def _contents(self, m: Module, ports: dict[str, Any], *, data: Value, last: Value) -> None:
        """Vectors of registers beside the buffer: counts and words must be the same."""
        rows = [[Signal(self._bits, name=f"word_{v}_{k}") for k in range(self._words)] for v in range(self._vectors)]
        # Wider than the buffer's own, or a word too many would wrap both alike.
        counts = Array(Signal(range(self._words + 2), name=f"came_{v}") for v in range(self._vectors))
        head, tail = Signal(range(self._vectors)), Signal(range(self._vectors))
        releases = Signal(range(self._vectors + 2))
        final = self._vectors + 1
        with m.If(ports["i_words__valid"]):
            for v in range(self._vectors):
                for k in range(self._words):
                    with m.If((tail == v) & (counts[v] == k)):
                        m.d.sync += rows[v][k].eq(data)
            m.d.sync += [counts[tail].eq(counts[tail] + 1), tail.eq(tail + last)]
        with m.If(ports["i_release"]):
            m.d.sync += [counts[head].eq(0), head.eq(head + 1), releases.eq(releases + (releases != final))]
        readable, expected = Signal(), Signal(self._bits)
        word = Array(Array(row) for row in rows)[head][ports["i_address"]]
        m.d.sync += [readable.eq(ports["i_address"] < counts[head]), expected.eq(word)]
        m.d.comb += [
            Assert(ports["o_count"] == counts[head]),
            Assert(~readable | (ports["o_data"] == expected)),
            Cover(releases == final),
            Cover(ports["i_release"] & ports["i_words__valid"] & readable),
            Cover(~ports["o_space"] & Cat(count == self._words for count in counts).all()),
        ]


class SequencerContract(Contract):
    """`Sequencer`: a round never ends while the drain of the one before is on; nothing goes out without its needs."""

    def __init__(self, *, shape: SequencerShape, fault: bool = False) -> None:
        self._shape = shape
        super().__init__(Sequencer(shape=shape), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        shape = self._shape
        step = shape.step(ports["o_step__payload"])
        goes = ports["o_step__valid"]
        # The drain's own length: a round that ends in cycle t is captured later, and its steps keep that distance.
        drain = shape.drain + self.fault
        draining = Signal(range(drain + 1))
        with m.If(goes & step.last):
            m.d.sync += draining.eq(drain - 1)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        width = len(ports["i_counts"]) // len(shape.plans)
        counts = Array(ports["i_counts"].word_select(k, width) for k in range(len(shape.plans)))
        m.d.comb += [
            Assert(~(goes & step.last) | (draining == 0)),
            Assert(~goes | (counts[step.plan] > step.word)),
            Assert(~goes | ~ports["i_hold"]),
            Assert((ports["o_reserve"] & ~ports["i_spaces"]) == 0),
            Assert(goes | ((ports["o_reserve"] == 0) & (ports["o_release"] == 0))),
            Cover(goes & step.last & (draining == 0)),
            Cover(ports["o_blocked"] & (draining != 0) & ~step.first),
            Cover(goes & step.vector_last & (step.plan == len(shape.plans) - 1)),
        ]

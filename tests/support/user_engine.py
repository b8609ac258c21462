"""A whole engine with users, its memory, and a host that has several queries in flight at once."""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped
from cocotb.triggers import ClockCycles, Event, ReadOnly, RisingEdge, with_timeout

from microduet_hw import reference
from microduet_hw.array_wiring import connect_pairs
from microduet_hw.config import EngineConfig, Payload
from microduet_hw.engine import EngineCore, outside
from microduet_hw.image import load_beats
from microduet_hw.lookup.reference import Packet, packet_beats
from microduet_hw.lookup.unit import port_name
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.registers import Register, register_map
from microduet_hw.result import BEAT, OWN_RESULT
from microduet_hw.status import Status, UserStatus
from microduet_hw.user_code import code
from microduet_hw.user_packets import Beats, pack_abandon
from microduet_hw.user_reference import Answer, Ranked, answer, packet_status, plain_packet, user_part
from tests.support.axi_memory import Memory
from tests.support.cover_plan import hit
from tests.support.lookups import memory_image, random_tables
from tests.support.models import random_model
from tests.support.streams import AxiStream, start_clocks
from tests.support.users import random_payload, random_users, user_packet


class WholeEngine(wiring.Component):
    """An `EngineCore` with its pairs, in one module.

    Parameters
    ----------
    config : the engine's configuration
    """

    def __init__(self, *, config: EngineConfig) -> None:
        self._config = config
        super().__init__(outside(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.core = core = EngineCore(config=self._config)
        for name, member in self.signature.members.items():
            inner, outer = getattr(core, name), getattr(self, name)
            if member.is_port:
                m.d.comb += outer.eq(inner)
            elif member.flow is wiring.In:
                connect(m, flipped(outer), inner)
            else:
                connect(m, inner, flipped(outer))
        for number, array in enumerate(self._config.arrays):
            shape = pe_array_shape(self._config, array)
            connect_pairs(m, getattr(core, f"array_{number}"), shape=shape, pes=array.pes, prefix=f"pair_{number}")
        return m


@dataclass(kw_only=True)
class Query:
    """A query: its items as (tag, row of the table), and the user packets that are sent for it.

    Members
    -------
    early : whether its first packet is there before its items are sent
    delay : engine cycles from the first item to a packet that is not early
    packets : in their order
    coded : a good packet with the vector's code, if it is not of sums
    user_status : what is to be said of its user
    """

    number: int
    items: list[tuple[int, int]]
    scores: list[bool]
    parts: npt.NDArray[np.int64]
    packets: list[Any] = field(default_factory=list)
    coded: Any = None
    early: bool = False
    delay: int = 0
    user_status: UserStatus = UserStatus.OK
    slot: int = 0
    sent: int = 0


class Host:
    """Drives an engine with users: loads it, sends queries, and compares what comes back with the reference."""

    def __init__(self, dut: Any, config: EngineConfig, *, wait: float = 0.0, stall: float = 0.0) -> None:
        seed = random.getrandbits(32)
        dut._log.info("model and tables of numpy seed %d", seed)
        assert config.user is not None
        self.dut, self.config, self.user = dut, config, config.user
        self.rng = np.random.default_rng(seed)
        self.tables, self.users = random_tables(config, self.rng), random_users(config, self.rng)
        self.model = random_model(config, self.rng)
        self.stall = stall
        self.items = AxiStream(dut, "s_axis_items", clock=dut.mem_clk, wait=wait)
        self.packets = AxiStream(dut, "s_axis_users", clock=dut.clk, wait=wait)
        self.load = AxiStream(dut, "s_axis_load", clock=dut.clk)
        image = memory_image(config, 0, self.tables)
        self.memory = Memory(dut=dut, name=port_name(0), read=image.__getitem__, stall=wait / 2, wait=wait / 2)
        self.free = list(range(config.user.slots))
        self.flying: dict[int, Query] = {}
        self.answers: list[tuple[Query, int]] = []
        """Queries in the order of their answers, and the cycle of the answer's last beat."""
        self.own: list[tuple[int, int]] = []
        """Tag and cycle of each item's own result."""
        self.cycle, self.packet_cycles = 0, dict[int, int]()
        self.cleared = Event()
        self._waiting: deque[tuple[int, Query, Any]] = deque()
        self._tasks: list[Any] = []

    async def start(self) -> None:
        """Reset the engine and load its model."""
        for name in ("awvalid", "wvalid", "arvalid"):
            getattr(self.dut, f"s_axi_control__{name}").value = 0
        self.dut.s_axi_control__bready.value = self.dut.s_axi_control__rready.value = 1
        self.dut.m_axis_results__tready.value = 0
        await start_clocks(self.dut)
        await self.reload()
        self._tasks += [cocotb.start_soon(task) for task in (self._receive(), self._send_users())]

    async def stop(self, *tasks: Any) -> None:
        """End all that drives the ports, and the caller's own tasks; return a cycle later with every port at rest."""
        for task in (*tasks, *self._tasks, self.memory._task):
            task.cancel()
        # A cancelled task may drive its port once more, in the time step it is cancelled in.
        await RisingEdge(self.dut.clk)
        for name in ("s_axis_items__t", "s_axis_users__t", "s_axis_load__t", "s_axi_control__ar", "s_axi_control__aw",
                     "s_axi_control__w"):  # fmt: skip
            getattr(self.dut, f"{name}valid").value = 0

    async def reload(self) -> None:
        """Load the model."""
        beats = load_beats(self.config, self.model, lambda feature, first, n: self.tables[feature][first : first + n],
                           self.users)  # fmt: skip
        await ClockCycles(self.dut.clk, 2)
        await self.load.send(words(beats))

    async def run(self, queries: list[Query], *, items: int | None = None, timeout_us: float = 2000) -> None:
        """Send the queries, as many at a time as there are slots, and wait until the run is over.

        The engine is told of as many items as the queries have, or of `items`.
        """
        total = sum(len(query.items) for query in queries)
        await self.write(Register.ITEMS, total if items is None else items)
        await self.write(Register.CONTROL, 1)
        sending = cocotb.start_soon(self._send_items(deque(queries)))
        self._tasks.append(sending)

        async def over() -> None:
            while not await self.read(Register.CONTROL) & 2:
                await ClockCycles(self.dut.clk, 10)

        await with_timeout(over(), timeout_us, "us")
        assert sending.done()
        assert not self.flying, "a run ended before its answers"

    def query(self, items: int, **changes: Any) -> Query:
        """A query of random items, some of them alike, with a good packet."""
        rows = self.config.features[0].rows
        tags = self.rng.choice([1000, 1 << 32]) if items else 1
        number = int(self.rng.integers(1 << 16))
        drawn = [(int(self.rng.integers(tags)), int(self.rng.integers(rows))) for _ in range(items)]
        payload = random_payload(self.config, self.rng)
        query = Query(
            number=number,
            items=drawn,
            scores=[bool(self.rng.random() < 0.15) for _ in drawn],
            parts=user_part(self.config, self.users, payload),
            packets=[lambda slot: user_packet(self.users, payload, number=number, slot=slot)],
        )
        if self.user.payload is Payload.VECTOR:
            query.coded = lambda slot: user_packet(self.users, payload, number=number, slot=slot, coded=code(payload))
        for name, value in changes.items():
            setattr(query, name, value)
        return query

    def ranked(self, query: Query) -> list[Ranked]:
        """The query's items with their results, from the reference."""
        rows = self.config.features[0].rows
        vectors = np.stack([self.tables[0][min(row, rows - 1)] for _, row in query.items])
        parts = np.tile(query.parts, (len(vectors), 1))
        logits, scores = reference.scores(self.config, self.model, vectors, parts)
        flags = [Status.INDEX_RANGE if row >= rows else Status.OK for _, row in query.items]
        return [
            Ranked(tag=tag, logit=int(logit), score=int(score), status=status)
            for (tag, _), logit, score, status in zip(query.items, logits, scores, flags, strict=True)
        ]

    def judged(self, packet: Any) -> UserStatus:
        """What the reference says of a packet, for a slot to be chosen."""
        users, length = self.users, self.user.bytes
        plain = plain_packet(packet(0), length=length)
        return packet_status(
            plain, length=length, version=users.version, scale=users.scale, zero_point=users.zero_point
        )

    def expected(self, query: Query) -> Answer:
        """The answer that is due."""
        return answer(self.ranked(query), top_k=self.user.top_k, user_status=query.user_status)

    async def write(self, address: int, value: int) -> None:
        """Write a register."""
        bus = {name: getattr(self.dut, f"s_axi_control__{name}") for name in ("awvalid", "awaddr", "wvalid", "wdata")}
        self.dut.s_axi_control__wstrb.value = 15
        bus["awvalid"].value = bus["wvalid"].value = 1
        bus["awaddr"].value, bus["wdata"].value = address, value
        await ReadOnly()
        while self.dut.s_axi_control__awready.value == 0:
            await RisingEdge(self.dut.clk)
            await ReadOnly()
        await RisingEdge(self.dut.clk)
        bus["awvalid"].value = bus["wvalid"].value = 0
        await RisingEdge(self.dut.clk)

    async def read(self, address: int) -> int:
        """Read a register."""
        self.dut.s_axi_control__arvalid.value = 1
        self.dut.s_axi_control__araddr.value = address
        await ReadOnly()
        assert self.dut.s_axi_control__arready.value == 1, "another task reads registers"
        await RisingEdge(self.dut.clk)
        self.dut.s_axi_control__arvalid.value = 0
        await ReadOnly()
        while self.dut.s_axi_control__rvalid.value == 0:
            await RisingEdge(self.dut.clk)
            await ReadOnly()
        value = int(self.dut.s_axi_control__rdata.value)
        await RisingEdge(self.dut.clk)
        return value

    async def counter(self, name: str) -> int:
        """Read the low word of a counter."""
        return await self.read(register_map(self.config)[name])

    async def _send_items(self, queries: deque[Query]) -> None:
        open_: list[Query] = []
        while queries or open_:
            if queries and self.free and (not open_ or random.random() < 0.5):
                open_.append(await self._open(queries.popleft()))
            if not open_:
                self.cleared.clear()
                await self.cleared.wait()
                await RisingEdge(self.dut.mem_clk)
                continue
            query = random.choice(open_)
            tag, row = query.items[query.sent]
            last = query.sent == len(query.items) - 1
            fields = {"number": query.number, "slot": query.slot, "scores": int(query.scores[query.sent])}
            packet = Packet(tag=tag, indices=[row], query={**fields, "last": int(last)})
            await self.items.send(packet_beats(self.config, packet))
            query.sent += 1
            if last:
                open_.remove(query)

    async def _open(self, query: Query) -> Query:
        query.slot = self.free.pop(random.randrange(len(self.free)))
        self.flying[query.slot] = query
        due = 0 if query.early else self.cycle + query.delay
        for packet in query.packets:
            self._waiting.append((due, query, packet(query.slot)))
        while query.early and any(other is query for _, other, _ in self._waiting):
            await RisingEdge(self.dut.mem_clk)
        return query

    async def _send_users(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            for entry in [entry for entry in self._waiting if entry[0] <= self.cycle]:
                await self.packets.send(words(entry[2]))
                self.packet_cycles.setdefault(entry[1].number, self.cycle)
                self._waiting.remove(entry)

    async def _receive(self) -> None:
        dut, packet = self.dut, []
        own = random.Random(random.getrandbits(64))
        while True:
            await RisingEdge(dut.clk)
            ready = own.random() >= self.stall
            dut.m_axis_results__tready.value = int(ready)
            await ReadOnly()
            self.cycle += 1
            if not (ready and dut.m_axis_results__tvalid.value == 1):
                continue
            packet.append(BEAT.from_bits(int(dut.m_axis_results__tdata.value)))
            if dut.m_axis_results__tlast.value == 1:
                self._compare(packet)
                packet = []

    def _compare(self, packet: list[Any]) -> None:
        query = self.flying[packet[0]["slot"]]
        if packet[0]["rank"] == OWN_RESULT:
            (beat,) = packet
            self._own(query, beat)
            return
        due = self.expected(query)
        hit("engine: a query of one item", len(query.items) == 1)
        hit("engine: fewer items than the list holds", 1 < len(due.items) < self.user.top_k)
        hit("engine: an item and a user fail in one query", due.status and due.user_status)
        hit("engine: the user is there before the items", query.early)
        hit("engine: the user comes later", query.delay)
        hit("engine: every slot is in use", not self.free)
        self.answers.append((query, self.cycle))
        del self.flying[query.slot]
        self.free.append(query.slot)
        self.cleared.set()
        for rank, beat in enumerate(packet):
            assert (beat["rank"], beat["count"]) == (rank, len(due.items))
            assert UserStatus(beat["user_status"]) == due.user_status, f"query {query.number}: {beat}"
            assert Status(beat["status"]) == due.status
        assert len(packet) == max(1, len(due.items))
        found = [(beat["tag"], beat["logit"], beat["score"]) for beat in packet]
        assert found == [(item.tag, item.logit, item.score) for item in due.items] or not due.items

    def _own(self, query: Query, beat: Any) -> None:
        self.own.append((beat["tag"], self.cycle))
        assert UserStatus(beat["user_status"]) == query.user_status
        wanted = [item for item, own in zip(self.ranked(query), query.scores, strict=True) if own]
        found = (beat["tag"], beat["logit"], beat["score"], Status(beat["status"]))
        if query.user_status or found[3]:
            assert (found[0], found[3]) in [(item.tag, item.status) for item in wanted]
        else:
            assert found in [(item.tag, item.logit, item.score, item.status) for item in wanted]


def abandoned(number: int) -> Any:
    """The packet, for a slot to be chosen, that gives query `number` up."""
    return lambda slot: pack_abandon(number=number, slot=slot)


def changed(packet: Any, beat: int, word: int, bits: int) -> Any:
    """A packet, for a slot to be chosen, with some bits of a word the other way."""

    def build(slot: int) -> Beats:
        beats = packet(slot).copy()
        beats[beat, word] ^= np.uint32(bits)
        return beats

    return build


def words(beats: Beats) -> list[int]:
    """Beats as integers."""
    return [int.from_bytes(np.ascontiguousarray(beat).tobytes(), "little") for beat in beats]

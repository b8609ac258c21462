"""Bases of memory channels in front of an engine's registers: each register where the map says, answers in order."""

import itertools
import random
from types import SimpleNamespace

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from amaranth.sim import Simulator
from cocotb.triggers import Combine, ReadOnly, RisingEdge

from microduet_hw.axi import LiteMaster
from microduet_hw.bases import BASE_START, BaseRegisters, base_map, card_address
from microduet_hw.kernel import Kernel, kernel_ports
from microduet_hw.registers import ADDRESS_BITS, ControlRegisters, Register, register_map
from tests.support.bench import run_bench
from tests.support.flow import begin
from tests.support.registers import HostPort, engine
from tests.support.registers import connect as connect_master

CHANNELS = 3
WITH_ENGINE = [
    "every_base_is_where_the_map_says",
    "the_engines_registers_are_behind_them",
    "answers_come_in_order_however_accesses_are_mixed",
    "reads_and_writes_do_not_hold_each_other_up",
    "beyond_the_last_base_is_nothing",
]


class Front(Component):
    """The bases and, behind them, an engine's registers without an engine."""

    def __init__(self):
        control = LiteMaster(address_bits=ADDRESS_BITS)
        bases = data.ArrayLayout(64, CHANNELS)
        super().__init__({"s_axi_control": In(control), "o_bases": Out(bases), "o_items": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.bases = bases = BaseRegisters(channels=CHANNELS)
        m.submodules.registers = registers = ControlRegisters(config=engine())
        connect(m, flipped(self.s_axi_control), bases.s_axi_control)
        connect(m, bases.m_axi_control, registers.s_axi_control)
        m.d.comb += [self.o_bases.eq(bases.o_bases), self.o_items.eq(registers.o_items)]
        return m


def bases_of(dut):
    value = int(dut.o_bases.value)
    return [value >> 64 * k & (1 << 64) - 1 for k in range(CHANNELS)]


@cocotb.test()
async def every_base_is_where_the_map_says(dut):
    master = await connect_master(dut)
    assert bases_of(dut) == [0] * CHANNELS
    expected = [random.getrandbits(64) for _ in range(CHANNELS)]
    for at, base in zip(base_map(engine()).values(), expected, strict=True):
        await master.write_qword(at, base)
    assert bases_of(dut) == expected
    assert [await master.read_qword(at) for at in base_map(engine()).values()] == expected


@cocotb.test()
async def the_engines_registers_are_behind_them(dut):
    master = await connect_master(dut)
    assert await master.read_dword(Register.DIGEST) == int(engine().digest[:8], 16)
    await master.write_dword(Register.ITEMS, 7)
    assert await master.read_dword(Register.ITEMS) == 7
    assert bases_of(dut) == [0] * CHANNELS
    await master.write_dword(BASE_START, 5)
    assert await master.read_dword(Register.ITEMS) == 7


@cocotb.test()
async def answers_come_in_order_however_accesses_are_mixed(dut):
    """All are asked at once: the master takes an answer for that of the oldest."""
    master = await connect_master(dut)
    memory = {Register.ITEMS: 1} | {BASE_START + 4 * k: 0 for k in range(2 * CHANNELS)}
    for _ in range(20):
        writes = {at: random.getrandbits(31) + 1 for at in random.sample(sorted(memory), 4)}
        tasks = [cocotb.start_soon(master.write_dword(at, value)) for at, value in writes.items()]
        await Combine(*tasks)
        memory |= writes
        asked = random.choices(sorted(memory), k=12)
        reads = [cocotb.start_soon(master.read_dword(at)) for at in asked]
        assert [await read for read in reads] == [memory[at] for at in asked]


@cocotb.test()
async def reads_and_writes_do_not_hold_each_other_up(dut):
    master = await connect_master(dut)
    for value in range(1, 20):
        at = random.choice([Register.ITEMS, BASE_START])
        write = cocotb.start_soon(master.write_dword(at, value))
        await cocotb.start_soon(master.read_dword(random.choice([Register.DIGEST, BASE_START + 8])))
        await write
        assert await master.read_dword(at) == value


@cocotb.test()
async def beyond_the_last_base_is_nothing(dut):
    master = await connect_master(dut)
    before = [random.getrandbits(32) for _ in range(2 * CHANNELS)]
    for k, word in enumerate(before):
        await master.write_dword(BASE_START + 4 * k, word)
    # Of the others, those that differ from a base's address in one bit.
    others = [BASE_START + 4 * (random.randrange(2 * CHANNELS) | 1 << bit) for bit in range(3, ADDRESS_BITS - 3)]
    for at in (BASE_START + 8 * CHANNELS, BASE_START + 8 * CHANNELS + 4, *others, (1 << ADDRESS_BITS) - 4):
        await master.write_dword(at, 0xFFFFFFFF)
        assert await master.read_dword(at) == 0
    for at, count in ((0, 1), (0, 2), (0, 3), (1, 3), (2, 2)):  # not a whole word
        await master.write(BASE_START + at, count * b"\xff")
    assert [await master.read_dword(BASE_START + 4 * k) for k in range(2 * CHANNELS)] == before
    await RisingEdge(dut.clk)


class Accesses:
    """Reads, or writes: a host that asks, an engine that answers a cycle after it took, and the answer of a base."""

    def __init__(self, dut, *, write):
        self.dut, self.write = dut, write
        self.asks, self.answers = (("aw", "w"), "b") if write else (("ar",), "r")
        accesses = (any_access() if write else {"araddr": any_access()["awaddr"]} for _ in itertools.count())
        self.host = HostPort(dut, asks=self.asks, answers=self.answers, accesses=accesses)
        self.bases, self.engine = 0, 0
        self.forget()

    def forget(self):
        self.host.forget()
        self.own, self.engines = None, None

    def port(self, side, name):
        return getattr(self.dut, f"{side}_axi_control__{name}")

    def offer(self):
        """Random inputs of a cycle that keep the rules: what is asked stays until it is taken, and so do answers."""
        self.host.offer()
        self.takes = self.engines is None and random.random() < 0.6
        for name in self.asks:
            # One that does not keep an answer may be ready before it is asked.
            self.port("m", f"{name}ready").value = int(self.takes)
        # What an answer says counts for nothing while it is not valid.
        said = self.engines or self.any_answer()
        self.port("m", f"{self.answers}valid").value = int(self.engines is not None)
        for name, value in said.items():
            self.port("m", name).value = value

    def any_answer(self):
        return (
            {"bresp": random.randrange(4)}
            if self.write
            else {"rresp": random.randrange(4), "rdata": random.getrandbits(32)}
        )

    def look(self, words):
        """Compare with what has to be; the word that is written, as (number, value), if one is."""
        host = self.host
        address = host.access[f"{self.asks[0]}addr"] if host.asked else 0
        passed = host.asked and address < BASE_START and self.own is None
        taken = host.asked and address >= BASE_START and self.own is None and self.engines is None
        for name in self.asks:
            assert self.port("m", f"{name}valid").value == passed
            assert self.port("s", f"{name}ready").value == (taken or (passed and self.takes))
        answer = self.engines if self.own is None else self.own
        assert self.port("s", f"{self.answers}valid").value == (answer is not None)
        assert self.port("m", f"{self.answers}ready").value == (host.willing and self.own is None)
        for side, payload in (("m", host.access if passed else None), ("s", answer)):
            for name, value in (payload or {}).items():
                assert self.port(side, name).value == value, name
        return self.step((address - BASE_START) // 4, words, taken=taken, passed=passed and self.takes)

    def step(self, number, words, *, taken, passed):
        """Go on to the next cycle; the word that is written, if one is."""
        if self.host.willing:
            self.own = self.engines = None
        if taken:
            self.own = {"bresp": 0} if self.write else {"rresp": 0, "rdata": words.get(number, 0)}
        elif passed:
            self.engines = self.any_answer()
        access = self.host.take() if taken or passed else None
        self.bases, self.engine = self.bases + taken, self.engine + passed
        return (number, access["wdata"]) if taken and self.write and access["wstrb"] == 0xF else None


def any_access():
    """Of a base as often as of the engine; now and then of one that there is not, or of a part of a word."""
    base = BASE_START + random.randrange(8 * CHANNELS) ^ random.choice([0, 0, 1 << random.randrange(ADDRESS_BITS)])
    address = random.choice([base, random.randrange(BASE_START)])
    return {"awaddr": address, "wdata": random.getrandbits(32), "wstrb": random.choice([15, 15, random.randrange(16)])}


@cocotb.test()
async def every_access_goes_where_its_address_says(dut):
    """And answers keep their order: cycle by cycle, with pauses of host and engine, and a reset now and then."""
    kinds, words = [Accesses(dut, write=False), Accesses(dut, write=True)], dict.fromkeys(range(2 * CHANNELS), 0)
    unused = ("araddr", "awaddr", "wdata", "wstrb")
    await begin(dut, **{f"s_axi_control__{name}": 0 for name in unused})
    for _ in range(3000):
        await RisingEdge(dut.clk)
        for kind in kinds:
            kind.offer()
        reset = random.random() < 0.005
        dut.rst.value = int(reset)
        await ReadOnly()
        assert bases_of(dut) == [words[2 * k + 1] << 32 | words[2 * k] for k in range(CHANNELS)]
        written = [kind.look(words) for kind in kinds][1]
        if written and written[0] in words:
            words[written[0]] = written[1]
        if reset:
            words = dict.fromkeys(words, 0)
            for kind in kinds:
                kind.forget()
    assert min(count for kind in kinds for count in (kind.bases, kind.engine)) > 100


def test_hosts_and_engine_pause_as_they_like():
    run_bench(BaseRegisters(channels=CHANNELS), module=__name__, scenarios=["every_access_goes_where_its_address_says"])


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_bases_and_engine_share_one_address_space(pause):
    run_bench(Front(), module=__name__, scenarios=WITH_ENGINE, parameters={"pause": pause})


def test_maps_do_not_overlap():
    own, engines = base_map(engine()), register_map(engine())
    assert list(own) == ["channel_00_base", "channel_01_base", "channel_02_base"]
    assert max(engines.values()) + 4 < BASE_START <= min(own.values())
    assert max(own.values()) + 8 <= 1 << ADDRESS_BITS


@pytest.mark.parametrize("channels", [-1, 257])
def test_only_as_many_bases_as_fit(channels):
    with pytest.raises(ValueError, match=f"channels must be 0 to 256, not {channels}"):
        BaseRegisters(channels=channels)


SUMS = [
    # base, address in the channel, address on the card
    (0, 0x3_FFFF_FFFF, 0x3_FFFF_FFFF),
    (0x2000_0000, 0x1234_5660, 0x3234_5660),
    (0x7_FFFF_F000, 0x1FE0, 0x8_0000_0FE0),
    (0x40_0000_0FFF, 0x20, 0x40_0000_0020),  # a base is a page's
    (0xFFFF_FFFF_FFFF_F000, 0x1000, 0),
]


class Sum(Component):
    base: In(64)
    address: In(34)
    total: Out(64)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.total.eq(card_address(self.base, self.address))
        return m


def test_addresses_count_from_the_base():
    dut, found = Sum(), []

    async def bench(ctx):
        for base, address, _ in SUMS:
            ctx.set(dut.base, base)
            ctx.set(dut.address, address)
            found.append(ctx.get(dut.total))

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [total for _, _, total in SUMS]


def test_a_kernel_has_addresses_of_the_whole_card():
    ports = kernel_ports(engine())
    addresses = {name: member.shape for name, member in ports.items() if name.endswith("araddr")}
    assert addresses == {"s_axi_control_araddr": ADDRESS_BITS} | {f"m_axi_0{k}_araddr": 64 for k in range(3)}
    assert set(ports) < set(Kernel(config=engine()).signature.members)


def test_an_engine_of_all_channels_has_its_registers_below_the_bases():
    channels = tuple(range(34))
    mapped = register_map(SimpleNamespace(counters=("cycles",) * 24, channels=channels))
    assert max(mapped.values()) < BASE_START
    assert len(set(mapped.values())) == len(mapped)

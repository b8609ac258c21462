"""An edge unit whose weights are checked between messages: neither knows of the other but by waiting."""

import random
import zlib

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from microduet_hw.config import CHECKSUM_BITS
from microduet_hw.edge.check_image import weight_checks
from microduet_hw.edge.config import BEAT_BITS
from microduet_hw.edge.image import load_beats
from microduet_hw.edge.message import HISTORY_KINDS, EdgeStatus, Kind
from microduet_hw.edge.packets import unpack_answer
from microduet_hw.edge.unit import EdgeUnit
from microduet_hw.image import CHECK, CHUNK_BYTES, pack_words
from microduet_hw.loader import Target
from microduet_hw.pe import PAIR_BITS
from microduet_hw.registers import ADDRESS_BITS, Register, register_map
from tests.support.bench import run_bench
from tests.support.edge import UNITS
from tests.support.edge_sessions import Session, check_answer, random_edge_model
from tests.support.flow import begin
from tests.support.registers import WRITABLE
from tests.support.streams import AxiStream
from tests.support.user_engine import words

CONFIG = UNITS["sram"].replace(checksum_bits=CHECKSUM_BITS, watchdog=500)
DONE = 2
STRIDE = 0x9E3779B1
"""Between the tags of messages: all bits of tags change often."""


def foreign_beats(rng):
    """Constants of other models, words for pairs that no array has, and loads and reads of units that are not there."""
    pairs, first = max(stack.pes for stack in CONFIG.stacks.values()) // 2, len(CONFIG.stacks) << PAIR_BITS + 1

    def beat(target, unit, *, more=0):
        data = rng.integers(256, size=(1, CHUNK_BYTES), dtype=np.uint8)
        packed = pack_words(data, target=target, unit=unit, row=rng.integers(1 << 24))
        packed.view(np.uint8)[:, -1] |= more
        return packed

    beats = []
    for target in [*Target] * 8:
        absent = rng.integers(first, 1 << 16)
        half, pair = rng.integers(first >> PAIR_BITS), rng.integers(pairs, 1 << PAIR_BITS)
        beats += [beat(target, absent), beat(target, absent, more=CHECK)]
        beats += [beat(Target.MODEL, 0), beat(Target.WEIGHTS, half << PAIR_BITS | pair)]
    return np.concatenate(beats)


class Host:
    """Loads a unit, sends it messages and check beats, and compares what comes back with the reference."""

    def __init__(self, dut, *, wait=0.0, stall=0.0, bad=0.0):
        seed = random.getrandbits(32)
        dut._log.info("model and messages of numpy seed %d", seed)
        rng = np.random.default_rng(seed)
        self.dut, self.stall, self.model = dut, stall, random_edge_model(CONFIG, rng)
        self.session = Session(CONFIG, self.model, rng, bad=bad, stride=STRIDE)
        self.items = AxiStream(dut, "s_axis_items", clock=dut.clk, wait=wait)
        self.load = AxiStream(dut, "s_axis_load", clock=dut.clk)
        self.due, self.answered, self.crc = [], 0, 0
        self.foreign = foreign_beats(rng)
        checks = weight_checks(CONFIG, self.model)
        self.checks = words(np.concatenate([check.beats for check in checks]))
        self.found = b"".join(check.words.tobytes() for check in checks)

    async def start(self):
        await begin(self.dut, m_axis_results__tready=0)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(self.dut, "s_axi_control_"), self.dut.clk, self.dut.rst)
        await self.load.send(words(np.concatenate([self.foreign, load_beats(CONFIG, self.model)])))
        cocotb.start_soon(self._receive())

    def check(self):
        """Begin a check."""
        self.crc = zlib.crc32(self.found, self.crc)
        return cocotb.start_soon(self.load.send(self.checks))

    async def compare(self):
        assert await self.master.read_dword(Register.CHECKED) == self.crc

    async def run(self, messages, *, items=None):
        """Send messages, and wait until so many of them have been answered, all unless it is said."""
        await self.master.write_dword(Register.ITEMS, items or len(messages))
        await self.master.write_dword(Register.CONTROL, 1)
        cocotb.start_soon(self._send(messages))

        async def over():
            while not await self.master.read_dword(Register.CONTROL) & DONE:
                await ClockCycles(self.dut.clk, 4)

        await with_timeout(over(), 2000, "us")

    def messages(self, *kinds):
        """A message of each kind; its group is anything where it means nothing."""
        groups = (0 if kind in HISTORY_KINDS else random.randrange(256) for kind in kinds)
        return [self.session.make(kind, group) for kind, group in zip(kinds, groups, strict=True)]

    async def _send(self, messages):
        for message, expected in messages:
            self.due.append(expected)
            await self.items.send(words(message), ends=EdgeStatus.TIMEOUT not in expected.status)

    async def _receive(self):
        port, packet = "m_axis_results__", []
        valid, data, last = (getattr(self.dut, f"{port}{name}") for name in ("tvalid", "tdata", "tlast"))
        while True:
            await RisingEdge(self.dut.clk)
            ready = random.random() >= self.stall
            self.dut.m_axis_results__tready.value = int(ready)
            await ReadOnly()
            if not (ready and valid.value):
                continue
            packet.append(np.frombuffer(int(data.value).to_bytes(32, "little"), "<u4"))
            if last.value:
                answer = unpack_answer(CONFIG, np.stack(packet))
                assert check_answer(answer, self.due[self.answered], self.model) is None
                self.answered, packet = self.answered + 1, []


REFUSALS = (
    EdgeStatus.STALE_VERSION,
    EdgeStatus.WRONG_COUNT,
    EdgeStatus.SHORT_PACKET,
    EdgeStatus.LONG_PACKET,
    EdgeStatus.UNKNOWN,
)
QUERIES = (Kind.STATIC, Kind.QUERY, Kind.CLICK, Kind.QUERY)


@cocotb.test()
async def a_check_waits_for_the_messages_in_flight(dut):
    host = Host(dut)
    await host.start()
    for _ in range(4):
        running = cocotb.start_soon(host.run(host.messages(*QUERIES)))
        await ClockCycles(dut.clk, random.randrange(20, 80))
        checking = host.check()
        await ClockCycles(dut.clk, 20)
        assert not running.done()
        assert (dut.s_axis_load__tvalid.value, dut.s_axis_load__tready.value) == (1, 0)
        await running
        await checking
        await host.compare()
    assert host.answered == 16


@cocotb.test()
async def messages_wait_for_the_row_that_is_read(dut):
    """A run that is started in the middle of a check: rows that were begun are read, the others behind the run."""
    host = Host(dut, wait=0.1, stall=0.2)
    await host.start()
    cut = 0
    for number in range(16):
        checking = host.check()
        await ClockCycles(dut.clk, random.randrange(4, 120))
        messages = host.messages(Kind.STATIC) if number == 0 else []
        messages += [host.session.message() for _ in range(3)]
        await host.run(messages)
        cut += not checking.done()
        await with_timeout(checking, 500, "us")
        await host.compare()
    assert host.answered == 49
    assert cut > 6


@cocotb.test()
async def a_check_waits_for_a_query_that_outlives_its_run_and_for_an_update_in_the_background(dut):
    host = Host(dut)
    await host.start()
    await host.run(host.messages(Kind.STATIC, Kind.FENCE))
    for number in range(6):
        kinds = (Kind.STATIC,) if number % 2 else (Kind.CLICK, Kind.QUERY)
        await host.run(host.messages(*kinds), items=1)
        await with_timeout(host.check(), 500, "us")
        await host.compare()
        assert host.answered == len(host.due), "the check did not wait"
    await host.run(host.messages(Kind.FENCE, Kind.QUERY))
    assert host.answered == len(host.due)


@cocotb.test()
async def any_message_is_answered_between_checks(dut):
    """Of every kind and of none, refused for every reason, while answers are taken at once or hardly ever."""
    host = Host(dut, bad=0.3)
    await host.start()
    for number in range(8):
        host.stall = 0.95 if number % 4 == 3 else 0.2
        messages = [random.choice([host.session.message, host.session.unknown])() for _ in range(40)]
        await host.run(messages)
        await host.check()
        await host.compare()
    statuses = {expected.status for expected in host.due}
    assert {*REFUSALS, EdgeStatus.OK} <= statuses
    assert host.answered == 320


@cocotb.test()
async def a_message_that_stops_is_answered_and_its_rest_is_dropped(dut):
    host = Host(dut)
    await host.start()
    for _ in range(3):
        ((message, expected),) = host.messages(Kind.CHECK)
        expected.status = EdgeStatus.TIMEOUT
        await host.run([(message, expected)])
        await host.items.send([random.getrandbits(BEAT_BITS)])
        await host.run(host.messages(Kind.STATIC, Kind.CLICK, Kind.QUERY))
        await host.check()
        await host.compare()
    assert host.answered == 12


@cocotb.test()
async def the_end_of_a_run_interrupts_and_other_registers_stay_what_they_are(dut):
    host = Host(dut)
    await host.start()
    registers = register_map(CONFIG)
    for address in (Register.GLOBAL_INTERRUPT, Register.INTERRUPT_ENABLE):
        await host.master.write_dword(address, 1)
    for _ in range(3):
        items = random.getrandbits(32) | 1
        await host.master.write_dword(Register.ITEMS, items)
        before = {address: await host.master.read_dword(address) for address in registers.values()}
        others = {address ^ 1 << bit for address in registers.values() for bit in range(2, ADDRESS_BITS)}
        for address in random.sample(sorted(others - set(WRITABLE)), 100):
            await host.master.write_dword(address, random.getrandbits(32))
            assert address in registers.values() or await host.master.read_dword(address) == 0
        assert before == {address: await host.master.read_dword(address) for address in registers.values()}
        assert before[Register.ITEMS] == items
        await host.run(host.messages(*QUERIES))
        assert (dut.interrupt.value, await host.master.read_dword(Register.INTERRUPT_STATUS)) == (1, 1)
        await host.master.write_dword(Register.INTERRUPT_STATUS, 1)
        assert dut.interrupt.value == 0


@pytest.mark.nightly
@pytest.mark.counted
def test_checks_between_messages():
    run_bench(EdgeUnit(config=CONFIG), module=__name__)

"""Control registers behind an AXI4-Lite master: runs, interrupts, counters, and what must not change anything."""

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from microduet_hw.config import CHECKSUM_BITS, SourceKind
from microduet_hw.registers import (
    ADDRESS_BITS,
    CHANNEL_BASE,
    COUNTER_BASE,
    STRAY_BASE,
    ControlRegisters,
    Register,
    register_map,
)
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import begin, cycle
from tests.support.models import small_config
from tests.support.registers import (
    WRITABLE,
    HostPort,
    RegistersModel,
    any_write,
    connect,
    engine,
    neighbours,
    readable,
    results,
)

START, DONE, IDLE, READY = 1, 2, 4, 8


def subject():
    """The engine whose registers a bench runs."""
    checks = {"checksum_bits": CHECKSUM_BITS} if bench_parameters().get("checks") else {}
    return engine().replace(**checks)


@cocotb.test()
async def starts_idle(dut):
    master = await connect(dut)
    assert await master.read_dword(Register.CONTROL) == IDLE
    assert await master.read_dword(Register.ITEMS) == 1
    assert await master.read_dword(Register.DIGEST) == int(subject().digest[:8], 16)
    dut.i_loaded.value = 0xCBF43926
    assert await master.read_dword(Register.LOADED) == 0xCBF43926
    if subject().weight_check:
        dut.i_checked.value = 0x5EEDF00D
    assert await master.read_dword(Register.CHECKED) == (0x5EEDF00D if subject().weight_check else 0)
    for register in (Register.GLOBAL_INTERRUPT, Register.INTERRUPT_ENABLE, Register.INTERRUPT_STATUS):
        assert await master.read_dword(register) == 0
    assert dut.interrupt.value == 0
    assert dut.o_run.value == 0


@cocotb.test()
async def a_run_ends_after_its_items(dut):
    master = await connect(dut)
    for items in (1, 2, 37):
        await master.write_dword(Register.ITEMS, items)
        await results(dut, 3)  # of nobody: no run is on
        assert await master.read_dword(Register.CONTROL) == IDLE
        await master.write_dword(Register.CONTROL, START)
        assert dut.o_run.value == 1
        assert dut.o_items.value == items
        await results(dut, items - 1)
        assert await master.read_dword(Register.CONTROL) == START
        await results(dut, 1)
        assert dut.o_run.value == 0
        assert await master.read_dword(Register.CONTROL) == DONE | IDLE | READY
        assert await master.read_dword(Register.CONTROL) == IDLE, "ap_done is cleared by reading"


@cocotb.test()
async def a_start_clears_what_was_not_read(dut):
    master = await connect(dut)
    await master.write_dword(Register.ITEMS, 1)
    await master.write_dword(Register.CONTROL, START)
    await results(dut, 1)
    await master.write_dword(Register.CONTROL, START)
    assert await master.read_dword(Register.CONTROL) == START
    await results(dut, 1)


@cocotb.test()
async def done_is_seen_exactly_once(dut):
    """However polls and the end of the run fall together."""
    master = await connect(dut)
    for _ in range(40):
        await master.write_dword(Register.CONTROL, START)
        ending = cocotb.start_soon(results(dut, 1, wait=random.choice([0, 0.5, 0.8])))
        polls = [await master.read_dword(Register.CONTROL) for _ in range(12)]
        await ending
        polls += [await master.read_dword(Register.CONTROL) for _ in range(2)]
        assert sum(bool(poll & DONE) for poll in polls) == 1
        assert polls[-1] == IDLE


@cocotb.test()
async def a_run_goes_on_whatever_is_written(dut):
    master = await connect(dut)
    await master.write_dword(Register.ITEMS, 5)
    await master.write_dword(Register.CONTROL, START)
    await results(dut, 2)
    await master.write_dword(Register.CONTROL, START)  # it has started
    await master.write_dword(Register.CONTROL, 0)
    await master.write_dword(Register.ITEMS, 99)  # for the next run
    assert dut.o_items.value == 5
    assert dut.o_run.value == 1
    assert await master.read_dword(Register.ITEMS) == 99
    await results(dut, 3)
    assert dut.o_run.value == 0
    await master.write_dword(Register.CONTROL, START)
    assert dut.o_items.value == 99
    await results(dut, 99, wait=0)
    assert await master.read_dword(Register.CONTROL) == DONE | IDLE | READY


@cocotb.test()
async def a_run_has_at_least_one_item(dut):
    master = await connect(dut)
    await master.write_dword(Register.ITEMS, 0)
    assert await master.read_dword(Register.ITEMS) == 1


@cocotb.test()
async def interrupts_as_enabled(dut):
    master = await connect(dut)
    for on, enable in [(0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]:
        await master.write_dword(Register.GLOBAL_INTERRUPT, on)
        await master.write_dword(Register.INTERRUPT_ENABLE, enable)
        await master.write_dword(Register.CONTROL, START)
        assert dut.interrupt.value == 0
        await results(dut, 1)
        assert await master.read_dword(Register.INTERRUPT_STATUS) == enable
        assert dut.interrupt.value == (on and enable != 0)
        await master.write_dword(Register.INTERRUPT_STATUS, enable)
        assert await master.read_dword(Register.INTERRUPT_STATUS) == 0
        assert dut.interrupt.value == 0
        await master.read_dword(Register.CONTROL)
    await master.write_dword(Register.INTERRUPT_STATUS, 2)
    assert await master.read_dword(Register.INTERRUPT_STATUS) == 2, "writing a one toggles"
    assert dut.interrupt.value == 1
    await master.write_dword(Register.INTERRUPT_STATUS, 2)


async def write_now(dut, register, value, **inputs):
    """Write in the very cycle in which the engine says `inputs`."""
    bus = {"awvalid": 1, "wvalid": 1, "awaddr": int(register), "wdata": value, "wstrb": 15, "bready": 1}
    await cycle(dut, **{f"s_axi_control__{name}": signal for name, signal in bus.items()}, **inputs)
    await cycle(dut, s_axi_control__awvalid=0, s_axi_control__wvalid=0, **dict.fromkeys(inputs, 0))


@cocotb.test()
async def a_toggle_counts_in_the_cycle_in_which_a_run_ends(dut):
    """Only what that end sets is set whatever is written."""
    await begin(dut, i_result=0, s_axi_control__arvalid=0, s_axi_control__rready=1)
    await write_now(dut, Register.GLOBAL_INTERRUPT, 1)
    await write_now(dut, Register.INTERRUPT_STATUS, 2)
    await write_now(dut, Register.INTERRUPT_ENABLE, 1)
    await write_now(dut, Register.CONTROL, START)
    await write_now(dut, Register.INTERRUPT_STATUS, 3, i_result=1)
    assert dut.interrupt.value == 1
    await write_now(dut, Register.INTERRUPT_ENABLE, 2)
    assert dut.interrupt.value == 0, "its toggle is lost"


@cocotb.test()
async def a_run_of_many_does_not_end_as_one_of_few(dut):
    await begin(dut, i_result=0, s_axi_control__arvalid=0, s_axi_control__rready=1)
    for bit in range(2, 32):
        await write_now(dut, Register.ITEMS, 1 << bit | 2)
        await write_now(dut, Register.CONTROL, START)
        for _ in range(3):
            await cycle(dut, i_result=1)
        await cycle(dut, i_result=0)
        assert dut.o_run.value == 1, hex(1 << bit | 2)
        await cycle(dut, rst=1)
        await cycle(dut, rst=0)
        assert dut.o_run.value == 0


async def count_cycles(dut, counted):
    """Append to `counted` in every cycle of a run."""
    while True:
        await FallingEdge(dut.clk)
        if dut.o_run.value:
            counted.append(1)


@cocotb.test()
async def counters_count_during_runs_only(dut):
    master, registers, names = await connect(dut), register_map(engine()), engine().counters
    await master.write_dword(Register.ITEMS, 1)
    ran = []
    cocotb.start_soon(count_cycles(dut, ran))
    for _ in range(2):
        counts = dict.fromkeys(names, 0)
        ran.clear()
        await master.write_dword(Register.CONTROL, START)
        for number in range(120):
            await FallingEdge(dut.clk)
            events = random.getrandbits(len(names))
            dut.i_events.value = events
            counts = {name: counts[name] + (events >> k & 1) for k, name in enumerate(names)}
            dut.i_result.value = int(number == 119)
        await FallingEdge(dut.clk)
        dut.i_result.value = 0
        dut.i_events.value = (1 << len(names)) - 1  # after the run
        assert {name: await master.read_dword(registers[name]) for name in names} == {**counts, "cycles": len(ran)}
        assert [await master.read_dword(registers[name] + 4) for name in names] == [0] * len(names)
        dut.i_events.value = 0
        await RisingEdge(dut.clk)


@cocotb.test()
async def channels_are_read_through(dut):
    master, registers = await connect(dut), register_map(engine())
    reads, stalls, strays = ([random.getrandbits(32) for _ in range(3)] for _ in range(3))
    dut.i_reads.value = sum(value << 32 * k for k, value in enumerate(reads))
    dut.i_stalls.value = sum(value << 32 * k for k, value in enumerate(stalls))
    dut.i_strays.value = sum(value << 32 * k for k, value in enumerate(strays))
    await RisingEdge(dut.clk)
    for k in range(3):
        assert await master.read_dword(registers[f"channel_{k:02}_reads"]) == reads[k]
        assert await master.read_dword(registers[f"channel_{k:02}_stalls"]) == stalls[k]
        assert await master.read_dword(registers[f"channel_{k:02}_strays"]) == strays[k]


async def state(master):
    """All that can be written, and the control register."""
    writable = [register for register in Register if register is not Register.CONTROL]
    return [await master.read_dword(register) for register in [Register.CONTROL, *writable]]


@cocotb.test()
async def unmapped_addresses_are_empty(dut):
    master = await connect(dut)
    dut.i_reads.value = dut.i_stalls.value = dut.i_strays.value = (1 << 96) - 1
    names = engine().counters
    mapped = {
        *Register,
        *range(COUNTER_BASE, COUNTER_BASE + 8 * len(names), 4),
        *range(CHANNEL_BASE, CHANNEL_BASE + 24, 4),
        *range(STRAY_BASE, STRAY_BASE + 12, 4),
    }
    unmapped = sorted(set(range(0, 1 << ADDRESS_BITS, 4)) - mapped)
    before = await state(master)
    near = [address for address in unmapped if {address - 4, address + 4} & mapped]
    for address in [*near, *random.sample(unmapped, 60)]:
        assert await master.read_dword(address) == 0, hex(address)
        await master.write_dword(address, 0xFFFFFFFF)
    assert await state(master) == before


@cocotb.test()
async def writes_without_all_bytes_are_ignored(dut):
    master = await connect(dut)
    before = await state(master)
    for register in Register:
        for first, count in [(0, 1), (0, 2), (0, 3), (1, 3), (2, 2), (3, 1)]:
            answer = await master.write(register + first, b"\xff" * count)
            assert answer.resp == 0
    assert await state(master) == before
    assert dut.o_run.value == 0


@cocotb.test()
async def read_only_registers_stay(dut):
    master = await connect(dut)
    dut.i_loaded.value = 77
    known = {Register.DIGEST: int(subject().digest[:8], 16), Register.LOADED: 77}
    for address in (*known, COUNTER_BASE, CHANNEL_BASE):
        await master.write_dword(address, 0x12345678)
        assert await master.read_dword(address) == known.get(address, 0)


@cocotb.test()
async def answers_where_channels_would_be(dut):
    master = await connect(dut)
    assert await master.read_dword(CHANNEL_BASE) == 0
    assert await master.read_dword(Register.CONTROL) == IDLE


def any_inputs(dut):
    """What the engine says in a cycle."""
    names = ("i_result", "i_events", "i_loaded", "i_checked", "i_reads", "i_stalls", "i_strays")
    inputs = {name: random.getrandbits(len(getattr(dut, name))) for name in names if hasattr(dut, name)}
    for name, value in inputs.items():
        getattr(dut, name).value = value
    return inputs


def wind_on(dut, model):
    """Set counters to just before something happens to high bits of them, or to anything."""
    for name in model.counters:
        model.counters[name] = random.choice([(1 << random.randrange(65)) - 1, random.getrandbits(64)])
        getattr(dut, name).value = model.counters[name]


@cocotb.test()
async def every_cycle_is_as_the_model_says(dut):
    """Whatever a host asks and an engine says, with counters that have come far and a reset now and then."""
    model = RegistersModel(subject())
    reads, writes = neighbours(readable(subject()), times=12), neighbours(WRITABLE, times=30)
    reader = HostPort(dut, asks=("ar",), answers="r", accesses=({"araddr": address} for address in reads))
    writer = HostPort(dut, asks=("aw", "w"), answers="b", accesses=map(any_write, writes))
    await begin(dut, **dict.fromkeys((f"s_axi_control__{name}" for name in ("araddr", "awaddr", "wdata", "wstrb")), 0))
    for _ in range(6000):
        await RisingEdge(dut.clk)
        reader.offer()
        writer.offer()
        inputs = any_inputs(dut)
        if random.random() < 0.05:
            wind_on(dut, model)
        reset = random.random() < (0.05 if model.left > 8 else 0.002)
        dut.rst.value = int(reset)
        await ReadOnly()
        assert (dut.interrupt.value, dut.o_run.value) == (model.interrupt, model.run)
        assert dut.o_items.value == model.started
        if model.answer is not None:
            assert dut.s_axi_control__rdata.value == model.answer
        read, write = reader.look(owed=model.answer is not None), writer.look(owed=model.written)
        model.edge(inputs, read=read and read["araddr"], write=write, willing=(reader.willing, writer.willing))
        if reset:
            model.reset()


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_behave_as_a_vitis_kernel(pause):
    run_bench(ControlRegisters(config=engine()), module=__name__, parameters={"pause": pause}, opened=engine().counters)


def test_an_engine_whose_weights_are_checked_has_their_crc():
    config = engine().replace(checksum_bits=CHECKSUM_BITS)
    assert register_map(config) == register_map(engine()) | {"checked": Register.CHECKED}
    run_bench(
        ControlRegisters(config=config),
        module=__name__,
        parameters={"pause": 0.2, "checks": True},
        opened=engine().counters,
    )


def test_an_engine_without_memory_channels_has_registers():
    run_bench(
        ControlRegisters(config=engine(kind=SourceKind.ONCHIP)),
        module=__name__,
        scenarios=["answers_where_channels_would_be"],
        parameters={"pause": 0.0},
    )


def test_map_names_every_register_once():
    registers = register_map(engine())
    assert len(set(registers.values())) == len(registers)
    assert all(address % 4 == 0 and address < 1 << ADDRESS_BITS for address in registers.values())
    assert registers["control"] == 0
    assert registers["array_0_busy"] == COUNTER_BASE + 8 * 4
    assert not [name for name in register_map(small_config()) if name.startswith("array_")]

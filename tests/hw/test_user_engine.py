"""A whole engine with users: queries get their best items, whenever the user comes, and if he never does."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from microduet_hw.config import Array, Payload, Precision
from microduet_hw.image import load_beats
from microduet_hw.loader import BEAT, Target
from microduet_hw.pe import PAIR_BITS
from microduet_hw.registers import Register
from microduet_hw.status import UserStatus
from microduet_hw.user_bank import UserBank
from microduet_hw.user_shape import user_shape
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.channel_counters import counters, since, wind_on
from tests.support.flow import Bare
from tests.support.models import random_model, small_config
from tests.support.user_engine import Host, WholeEngine, abandoned, changed, words
from tests.support.users import with_users

ROWS = 40
BASE = (1 << 33) - ROWS // 2 * 32  # every bit of an address is 0 in some rows and 1 in others
WATCHDOG = 3000
UNIT = "bare.core.lookup"


def engine(*, layer, arrays, payload=Payload.VECTOR, precision=Precision.FIXED16, hidden=(9,), **sizes):
    config = small_config(precision=precision, elements=12, hidden=hidden, arrays=arrays)
    (feature,), (source,) = config.features, config.sources
    (part,) = source.parts
    config = config.replace(
        features=(feature.replace(rows=ROWS),), sources=(source.replace(parts=(part.replace(rows=ROWS, base=BASE),)),)
    )
    return with_users(config, layer=layer, payload=payload, watchdog=WATCHDOG, **sizes)


ENGINES = {
    "output layer": engine(
        layer=1, arrays=(Array(pes=4, lanes=3, drain=3, layers=(0,)),), elements=70, lanes=16, waiting=8
    ),
    "first layer of two on one array": engine(
        layer=0,
        arrays=(Array(pes=6, lanes=4, drain=4, layers=(0, 1)),),
        precision=Precision.INT8,
        hidden=(15, 5),
        elements=33,
        lanes=8,
    ),
    "sums of the second array": engine(
        layer=1,
        arrays=(Array(pes=6, lanes=3, drain=4, layers=(0,)), Array(pes=4, lanes=4, drain=3, layers=(1,))),
        hidden=(14, 7),
        payload=Payload.SUMS,
        slots=2,
        top_k=3,
    ),
}


def with_fate(host, query):
    """The query with a user who comes early, late, twice, wrongly or never."""
    fate = random.choice(["early", "soon", "late", "twice", "corrupt", "stale", "abandoned", "other first", "never"])
    (good,) = query.packets
    if query.coded is not None and random.random() < 0.5:
        query.packets = [good := query.coded]
    query.early, query.delay = fate in ("early", "other first"), {"late": WATCHDOG // 3}.get(fate, random.randrange(60))
    if fate == "twice":
        query.packets = [good, good]
    elif fate == "corrupt":
        damaged = changed(good, 1, 0, 1 << 5)  # of a code, this is a mask: what it holds is not as long any more
        query.packets, query.user_status = [damaged, good], host.judged(damaged)
        assert query.user_status in (UserStatus.CHECKSUM, UserStatus.WRONG_LENGTH)
    elif fate == "stale":
        query.packets, query.user_status = [changed(good, 0, 1, 1 << 16)], UserStatus.STALE_VERSION
    elif fate == "abandoned":
        query.packets, query.user_status = [abandoned(query.number)], UserStatus.ABANDONED
    elif fate == "other first":
        query.packets = [changed(good, 0, 0, 1), good]
    elif fate == "never":
        query.packets, query.user_status = [], UserStatus.TIMEOUT
    return query


def random_query(host, *, longest):
    query = host.query(random.choice([1, 2, host.user.top_k, random.randint(1, longest)]))
    for k, (tag, _) in enumerate(query.items):
        if random.random() < 0.05:
            query.items[k] = (tag, ROWS + random.randrange(3))
    return with_fate(host, query)


@cocotb.test()
async def answers_every_query(dut):
    config = ENGINES[bench_parameters()["engine"]]
    host = Host(dut, config, wait=0.2, stall=0.3)
    await host.start()
    for count, longest in ((12, 2 * config.user.waiting), (8, 5 * config.user.waiting)):
        queries = [random_query(host, longest=longest) for _ in range(count)]
        before = len(host.answers)
        await host.run(queries)
        assert len(host.answers) - before == count
        assert await host.counter("answers") == count
        assert await host.counter("results") == sum(len(query.items) for query in queries)
    assert len(host.own) == sum(sum(query.scores) for query, _ in host.answers)


@cocotb.test()
async def a_late_user_holds_nobody_else_up(dut):
    config = ENGINES[bench_parameters()["engine"]]
    host = Host(dut, config)
    await host.start()
    late = host.query(config.user.waiting - 1, delay=WATCHDOG // 2)
    others = [host.query(3, delay=20) for _ in range(6)]
    await host.run([late, *others])
    assert [query for query, _ in host.answers][-1] is late
    assert await host.counter("users") == 7
    assert await host.counter("users_dropped") == 0


@cocotb.test()
async def a_full_ring_loses_nothing(dut):
    config = ENGINES[bench_parameters()["engine"]]
    host = Host(dut, config)
    await host.start()
    await host.run([host.query(6 * config.user.waiting, delay=WATCHDOG // 2), host.query(2)])
    assert await host.counter("waiting_full") > WATCHDOG // 4
    assert await host.counter("waiting") > WATCHDOG // 4


@cocotb.test()
async def answers_soon_after_the_user(dut):
    config = ENGINES[bench_parameters()["engine"]]
    host = Host(dut, config)
    await host.start()
    items = config.user.waiting - 1
    query = host.query(items, delay=WATCHDOG // 3, scores=[True] * items)
    await host.run([query])
    ready = UserBank(shape=user_shape(config)).latency
    first = host.own[0][1] - host.packet_cycles[query.number]
    gaps = [after[1] - before[1] for before, after in zip(host.own, host.own[1:], strict=False)]
    dut._log.info("user to first result: %d cycles, %d of them the user's part; then %s", first, ready, gaps)
    if config.user.layer == len(config.hidden):
        # requantiser 3, sigmoid 3, rank 2, a register each for the choice and the sum's way
        assert first - ready <= 12
        assert set(gaps) == {1}


@cocotb.test()
async def a_new_model_waits_for_the_items_in_flight(dut):
    """Load beats that are offered during a run are taken behind it: its items are the old model's, the next are not."""
    config = ENGINES[bench_parameters()["engine"]]
    host = Host(dut, config)
    await host.start()
    running = cocotb.start_soon(host.run([host.query(30) for _ in range(3)]))
    await ClockCycles(dut.clk, 60)
    other = random_model(config, host.rng)
    beats = load_beats(config, other, lambda feature, first, n: host.tables[feature][first : first + n], host.users)
    loading = cocotb.start_soon(host.load.send(words(beats)))
    await ClockCycles(dut.clk, 20)
    assert not running.done()
    assert dut.s_axis_load__tvalid.value == 1
    assert dut.s_axis_load__tready.value == 0
    await running
    assert len(host.answers) == 3
    await loading
    host.model = other
    await host.run([host.query(30) for _ in range(3)])
    assert len(host.answers) == 6


@cocotb.test()
async def a_host_that_stops_in_a_packet_ends_its_own_query_only(dut):
    """Half a user packet: its query ends by name. The packet that ends it is refused, the one behind that is right."""
    config = ENGINES[bench_parameters()["engine"]]
    host = Host(dut, config)
    await host.start()
    gone, good = host.query(3, user_status=UserStatus.TIMEOUT), host.query(4)
    half = words(gone.packets.pop()(0))[0]
    await host.packets.send([half], ends=False)
    begun = host.cycle
    await host.run([gone])
    assert host.cycle - begun < 2 * WATCHDOG
    good.packets *= 2
    await host.run([good])
    assert [query for query, _ in host.answers] == [gone, good]


@cocotb.test()
async def registers_tell_what_a_channel_does(dut):
    """In all bits of the counters: reads, cycles in which a lookup waits, and beats that nobody asked for."""
    host = Host(dut, ENGINES[bench_parameters()["engine"]])
    await host.start()
    wound = await wind_on(dut, host.config, unit=UNIT)
    host.memory.open, host.memory.stray = False, 0.3
    running = cocotb.start_soon(host.run([host.query(40)]))
    await ClockCycles(dut.mem_clk, 400)
    host.memory.open = True
    await running
    host.memory.stray = 0.0
    await ClockCycles(dut.clk, 20)
    told = {(source, kind): await host.counter(f"channel_{source:02}_{kind}") for source, kind in wound}
    counted = since(wound, told)
    assert counted[0, "reads"] == len(host.memory.requests)
    assert 200 < counted[0, "stalls"] < host.memory.cycle
    assert counted[0, "strays"] == host.memory.strays > 20


@cocotb.test()
async def the_end_of_a_run_interrupts(dut):
    host = Host(dut, ENGINES[bench_parameters()["engine"]])
    await host.start()
    await host.write(Register.GLOBAL_INTERRUPT, 1)
    await host.write(Register.INTERRUPT_ENABLE, 1)
    for _ in range(2):
        assert dut.interrupt.value == 0
        await host.run([host.query(3)])
        assert dut.interrupt.value == 1
        await host.write(Register.INTERRUPT_STATUS, 1)


@cocotb.test()
async def a_run_waits_for_all_its_items(dut):
    """As many as a register can say: what has come is answered, and the run goes on."""
    host = Host(dut, ENGINES[bench_parameters()["engine"]])
    await host.start()
    running = cocotb.start_soon(host.run([host.query(5)], items=(1 << 32) - 1))
    while not host.answers:
        await ClockCycles(dut.clk, 10)
    await host.stop(running)
    await ClockCycles(dut.clk, 2)  # for the answer to what the run has asked last
    assert await host.read(Register.CONTROL) == 1
    again = Host(dut, host.config)
    await again.start()
    await again.run([again.query(2)])
    assert len(again.answers) == 1


def foreign_beat(config):
    """A load beat for a bank, an array or a kind of memory that the engine has not."""
    arrays = len(config.arrays)
    firsts = {Target.WEIGHTS: arrays << PAIR_BITS + 1, Target.PARAMETERS: arrays}
    target = random.choice([Target.ONCHIP, *firsts, random.randrange(len(Target), 1 << 8)])
    told = {"target": target, "unit": random.randrange(firsts.get(target, 0), 1 << 16), "commit": 1}
    return BEAT.const({**told, "row": random.getrandbits(24), "data": random.getrandbits(448)}).as_bits()


@cocotb.test()
async def load_beats_for_what_is_not_there_change_nothing(dut):
    host = Host(dut, ENGINES[bench_parameters()["engine"]])
    await host.start()
    await host.load.send([foreign_beat(host.config) for _ in range(60)])
    await host.run([host.query(9) for _ in range(3)])
    assert len(host.answers) == 3


async def reset_when(dut, due):
    """Reset an engine that has much to do when `due` has been awaited: it answers as a fresh one does."""
    config = ENGINES[bench_parameters()["engine"]]
    host = Host(dut, config)
    await host.start()
    waiting = [host.query(3, packets=[]) for _ in range(config.user.slots // 2)]
    queries = [*waiting, *(with_fate(host, host.query(40)) for _ in range(8))]
    running = cocotb.start_soon(host.run(queries))
    await due
    await host.stop(running)
    again = Host(dut, config)
    await again.start()
    await again.run([with_fate(again, again.query(5)) for _ in range(4)])
    assert len(again.answers) == 4


@cocotb.test()
async def starts_anew_after_a_reset(dut):
    moment = random.randrange(10, 1500)
    dut._log.info("reset in cycle %d", moment)
    await reset_when(dut, ClockCycles(dut.clk, moment))


@cocotb.test()
async def starts_anew_after_a_reset_in_which_a_register_is_read(dut):
    """Seed 166691927: a host that is stopped as it asks for a register leaves no request behind."""
    await reset_when(dut, in_a_read(dut))


async def in_a_read(dut):
    """Return in a cycle in which the host asks whether the run is over, as it does every twelfth cycle."""
    await RisingEdge(dut.s_axi_control__arvalid)
    await ClockCycles(dut.clk, 12)


@pytest.mark.parametrize("name", by_night(ENGINES, ["first layer of two on one array", "sums of the second array"]))
def test_answers_queries(name):
    opened = counters(ENGINES[name], unit=UNIT)
    run_bench(Bare(WholeEngine(config=ENGINES[name])), module=__name__, parameters={"engine": name}, opened=opened)

"""Users' parts of a layer's sums: equal to the reference, where the drain looks for them, or why there are none."""

import random
from collections import Counter
from dataclasses import replace

import cocotb
import numpy as np
import pytest

from microduet_hw.config import Array, Payload, Precision
from microduet_hw.image import user_words
from microduet_hw.layout import HOLE
from microduet_hw.status import UserStatus
from microduet_hw.user_bank import UserBank
from microduet_hw.user_code import code
from microduet_hw.user_expander import UserExpander
from microduet_hw.user_packets import pack_abandon
from microduet_hw.user_reference import user_part
from microduet_hw.user_shape import user_shape
from microduet_hw.user_slots import PLACE
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle, signed_of
from tests.support.models import small_config
from tests.support.users import part_rows, random_payload, random_users, user_packet, with_users


def engine(precision, hidden, pes, lanes):
    arrays = (Array(pes=pes, lanes=lanes, drain=lanes, layers=tuple(range(len(hidden)))),) if hidden else ()
    return small_config(precision=precision, hidden=hidden, arrays=arrays)


ENGINES = {
    "leftovers": with_users(engine(Precision.FIXED16, (15,), 6, 4), layer=0, elements=70, lanes=16, watchdog=3000),
    "output layer": with_users(engine(Precision.INT8, (5,), 2, 4), layer=1, elements=64, lanes=64, slots=1),
    "sums of an array narrower than a word": with_users(
        engine(Precision.FIXED32, (21,), 4, 10), layer=0, payload=Payload.SUMS, slots=5
    ),
}
IDLE = {
    **dict.fromkeys(("s_axis_users__tvalid", "load_model", "load_weights", "load_bias", "i_items__valid"), 0),
    **dict.fromkeys(("i_clear__valid", "i_waiting", "i_read"), 0),
}
MODEL_ROWS = ("load_model", "load_weights", "load_bias")
UNKNOWN_KINDS = (3, 7, *(base | 1 << bit for base in (0, 1) for bit in range(2, 8)))
SHIFTS = (0, 1, 2, 3, 4, 8, 12, 16, 24, 32, 48, 63)


class Bench:
    """A bank with a model, and what should be known of its slots."""

    def __init__(self, dut, config):
        seed = random.getrandbits(32)
        dut._log.info("weights and vectors of numpy seed %d", seed)
        self.dut, self.config, self.rng = dut, config, np.random.default_rng(seed)
        self.user, self.users = config.user, random_users(config, self.rng)
        self.counts = Counter()

    async def load(self, *, names=MODEL_ROWS):
        for name, words in zip(MODEL_ROWS, user_words(self.config, self.users), strict=True):
            for row, word in enumerate(words if name in names else ()):
                bits = int.from_bytes(word.tobytes(), "little")
                await cycle(self.dut, **{**IDLE, name: 1, "load_row": row, "load_data": bits})
        await cycle(self.dut, **IDLE)

    async def step(self, **inputs):
        await cycle(self.dut, **{**IDLE, **inputs})
        for name in ("taken", "dropped"):
            self.counts[name] += int(getattr(self.dut, f"o_{name}").value)

    async def send(self, beats, *, wait=0.0):
        """Send a packet and wait until it has acted; the cycles from its last beat."""
        before = self.counts.total()
        for number, beat in enumerate(beats):
            while random.random() < wait:
                await self.step()
            inputs = {"s_axis_users__tvalid": 1, "s_axis_users__tdata": int.from_bytes(beat.tobytes(), "little")}
            inputs["s_axis_users__tlast"] = int(number == len(beats) - 1)
            await self.step(**inputs)
            while not self.dut.s_axis_users__tready.value:
                await self.step(**inputs)
        passed = 0
        while self.counts.total() == before:
            await self.step()
            passed += 1
            assert passed < 10000, "a packet never acted"
        return passed

    async def items(self, slot, number):
        """Items of a query come."""
        await self.step(i_items__valid=1, i_items__payload=PLACE.const({"slot": slot, "number": number}).as_bits())
        await self.step()

    async def clear(self, slot, number=0):
        await self.step(i_clear__valid=1, i_clear__payload=PLACE.const({"slot": slot, "number": number}).as_bits())
        await self.step()

    def status(self, slot):
        """The slot's status, None if it is not ready."""
        if not int(self.dut.o_ready.value) >> slot & 1:
            return None
        return UserStatus(int(self.dut.o_status.value) >> 8 * slot & 0xFF)

    async def parts(self, slot):
        """The parts that a slot holds, by output."""
        width, result = self.config.accumulator_width, {}
        for row, outputs in enumerate(part_rows(self.config).tolist()):
            await self.step(i_read=1, i_read_slot=slot, i_read_row=row)
            await self.step()
            bits = int(self.dut.o_row.value)
            for lane, output in enumerate(outputs):
                if output != HOLE:
                    result[output] = signed_of(bits >> width * lane, width)
        return [result[output] for output in range(len(result))]


@cocotb.test()
async def keeps_the_reference_s_parts(dut):
    config = ENGINES[bench_parameters()["engine"]]
    bench = Bench(dut, config)
    await begin(dut, **IDLE)
    await bench.load()
    held = {}
    # The reference gives 64 bits, which sums of wider accumulators are not shifted out of.
    shifts = [shift for shift in SHIFTS if config.accumulator_width <= 64 or shift <= 24]
    for shift in random.sample(shifts, len(shifts)):
        # Models follow each other, and parts of an earlier one stay.
        bench.users = replace(bench.users, shift=shift, version=random.getrandbits(32))
        await bench.load(names=MODEL_ROWS[:1])
        slot, number = random.randrange(config.user.slots), random.getrandbits(16)
        payload, coded = random_payload(config, bench.rng), None
        if config.user.payload is Payload.VECTOR and random.random() < 0.5:
            payload[bench.rng.random(len(payload)) < bench.rng.random()] = 0
            coded = code(payload)
        early = random.random() < 0.5
        if not early:
            await bench.items(slot, number)
            assert bench.status(slot) is None
        packet = user_packet(bench.users, payload, number=number, slot=slot, coded=coded)
        passed, own = await bench.send(packet, wait=0.3), UserBank(shape=user_shape(config)).latency
        if coded is None:
            assert passed + 1 == own
        else:
            assert own < passed + 1 <= own + UserExpander(length=len(payload)).latency
        hit("user bank: the user before his items", early)
        hit("user bank: the items before their user", not early)
        hit("user bank: the last slot", slot == config.user.slots - 1)
        if early:
            await bench.items(slot, number)
        await bench.step()
        assert bench.status(slot) == UserStatus.OK
        held[slot] = user_part(config, bench.users, payload).tolist()
        for other, parts in held.items():
            assert await bench.parts(other) == parts
        await bench.clear(slot, number)
        assert bench.status(slot) is None
    assert bench.counts == {"taken": len(shifts), "dropped": 0}


def coded_cases(bench):
    """Packets of query 5 in slot 0 with a coded vector, and what becomes of them; a bank of sums drops them."""
    if bench.user.payload is not Payload.VECTOR:
        return []
    payload = random_payload(bench.config, bench.rng)
    payload[::3] = 0
    good = user_packet(bench.users, payload, number=5, slot=0, coded=code(payload))
    corrupt = good.copy()
    corrupt[1, 0] ^= 1 << 31
    return [
        (corrupt, UserStatus.CHECKSUM),
        (good[:-1], UserStatus.WRONG_LENGTH),
        (np.concatenate([good, good[-1:]]), UserStatus.WRONG_LENGTH),
        (good, UserStatus.OK),
    ]


@cocotb.test()
async def says_why_there_is_no_user(dut):
    config = ENGINES[bench_parameters()["engine"]]
    bench = Bench(dut, config)
    await begin(dut, **IDLE)
    await bench.load()
    good = user_packet(bench.users, random_payload(config, bench.rng), number=5, slot=0)
    corrupt, short, stale = good.copy(), good[:-1], good.copy()
    corrupt[1, 0] ^= 1
    stale[0, 2] ^= 1
    cases = [
        *coded_cases(bench),
        (corrupt, UserStatus.CHECKSUM),
        (short, UserStatus.WRONG_LENGTH),
        (stale, UserStatus.STALE_VERSION),
        (pack_abandon(number=5, slot=0), UserStatus.ABANDONED),
        (good, UserStatus.OK),
    ]
    for beats, status in cases:
        await bench.send(beats)
        await bench.items(0, 5)
        assert bench.status(0) == status
        hit(f"user bank: {status.name}")
        # A user that is known is not looked at twice.
        await bench.send(good)
        await bench.step()
        assert bench.status(0) == status
        await bench.clear(0)
    assert bench.counts == {"taken": len(cases), "dropped": len(cases)}


def of_kind(packet, kind):
    """The packet as one of another kind."""
    changed = packet.copy()
    changed[0, 0] = int(changed[0, 0]) & ~(0xFF << 24) | kind << 24
    return changed


@cocotb.test()
async def drops_what_nobody_waits_for(dut):
    config = ENGINES[bench_parameters()["engine"]]
    bench = Bench(dut, config)
    await begin(dut, **IDLE)
    await bench.load()
    payload = random_payload(config, bench.rng)
    await bench.items(0, 9)
    good = user_packet(bench.users, payload, number=9, slot=0)
    sums = config.user.payload is Payload.SUMS
    dropped = [
        user_packet(bench.users, payload, number=8, slot=0),
        user_packet(bench.users, payload, number=9, slot=config.user.slots),
        user_packet(bench.users, payload, number=9, slot=64),
        user_packet(bench.users, payload, number=9, slot=128),
        *(of_kind(good, kind) for kind in UNKNOWN_KINDS),
        *([user_packet(bench.users, payload, number=9, slot=0, coded=code(payload))] if sums else []),
    ]
    for beats in dropped:
        await bench.send(beats)
        await bench.step()
        assert bench.status(0) is None
    assert bench.counts == {"taken": 0, "dropped": len(dropped)}
    # The same number may come again once the answer has left, and a later query takes the place of an earlier one.
    await bench.clear(0)
    for number in (8, 7):
        await bench.send(user_packet(bench.users, payload, number=number, slot=0))
    await bench.items(0, 7)
    assert bench.status(0) == UserStatus.OK
    assert bench.counts == {"taken": 2, "dropped": len(dropped)}


@cocotb.test()
async def waits_no_longer_than_the_watchdog(dut):
    config = ENGINES[bench_parameters()["engine"]]
    bench = Bench(dut, config)
    await begin(dut, **IDLE)
    await bench.load()
    await bench.items(0, 3)
    passed = 0
    while bench.status(0) is None:
        await bench.step(i_waiting=1)
        passed += 1
    assert passed == config.user.watchdog + 1
    assert bench.status(0) == UserStatus.TIMEOUT
    hit("user bank: TIMEOUT")
    await bench.send(user_packet(bench.users, random_payload(config, bench.rng), number=3, slot=0))
    assert bench.status(0) == UserStatus.TIMEOUT
    assert bench.counts == {"taken": 0, "dropped": 1}


@pytest.mark.parametrize("name", list(ENGINES))
def test_keeps_parts(name):
    bank = UserBank(shape=user_shape(ENGINES[name]))
    run_bench(Bare(bank), module=__name__, parameters={"engine": name})


def test_an_engine_without_users_has_no_bank():
    with pytest.raises(ValueError, match="a configuration with users is needed"):
        user_shape(small_config())

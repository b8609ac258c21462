"""What a bank was loaded with, read back row by row while no packet acts: a changed bit shows, and packets wait."""

import random

import cocotb
import pytest

from microduet_hw.image import user_words
from microduet_hw.status import UserStatus
from microduet_hw.user_bank import UserBank
from microduet_hw.user_reference import user_part
from microduet_hw.user_shape import user_shape
from tests.hw.test_user_bank import ENGINES, IDLE, MODEL_ROWS, Bench
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin
from tests.support.users import random_payload, user_packet

PORTS = dict(zip(MODEL_ROWS, ("check_model", "check_weights", "check_bias"), strict=True))
CHECKED = {name: ENGINES[name] for name in ("leftovers", "sums of an array narrower than a word")}


def checked_shape(name):
    return user_shape(CHECKED[name]).replace(checked=True)


class Checked(Bench):
    """A bench of a bank that can be read, and what was written to it."""

    def __init__(self, dut, config):
        super().__init__(dut, config)
        self.shape = checked_shape(bench_parameters()["engine"])
        self.asking = {"i_hold": 0, **{f"{port}__read": 0 for port in self.shape.checks}}
        words = zip(MODEL_ROWS, user_words(config, self.users), strict=True)
        rows = {name: [int.from_bytes(row.tobytes(), "little") for row in own] for name, own in words}
        self.rows = {name: own for name, own in rows.items() if PORTS[name] in self.shape.checks}

    async def start(self):
        await begin(self.dut, **IDLE, **self.asking, load_row=0, load_data=0)
        await self.load()

    async def step(self, **inputs):
        await super().step(**{**self.asking, **inputs})

    async def write(self, name, row, word):
        await self.step(**{name: 1, "load_row": row, "load_data": word})

    async def read(self, name, row):
        """A row, as the port shows it from the second cycle on."""
        port, found = PORTS[name], []
        for cycle in range(random.randint(2, 5)):
            await self.step(**{"i_hold": 1, f"{port}__read": 1, "load_row": row})
            if cycle:
                found.append(int(getattr(self.dut, f"{port}__data").value))
        assert len(set(found)) == 1, "a row that is read stands"
        return found[0]

    async def read_all(self):
        return {name: [await self.read(name, row) for row in range(len(own))] for name, own in self.rows.items()}


@cocotb.test()
async def shows_every_row_and_the_one_bit_that_changed(dut):
    bench = Checked(dut, CHECKED[bench_parameters()["engine"]])
    await bench.start()
    assert await bench.read_all() == bench.rows
    for name, own in bench.rows.items():
        for _ in range(6):
            row, bit = random.randrange(len(own)), random.randrange(bench.shape.checks[PORTS[name]])
            await bench.write(name, row, own[row] ^ 1 << bit)
            due = {**bench.rows, name: [word ^ (1 << bit if k == row else 0) for k, word in enumerate(own)]}
            assert await bench.read_all() == due
            await bench.write(name, row, own[row])


@cocotb.test()
async def a_packet_waits_while_rows_are_read(dut):
    """One that came, and one that comes; what it adds is the reference's, as if nobody had read anything."""
    config = CHECKED[bench_parameters()["engine"]]
    bench = Checked(dut, config)
    await bench.start()
    for number in range(9):
        payload = random_payload(config, bench.rng)
        packet = user_packet(bench.users, payload, number=number, slot=0).copy()
        status = UserStatus.CHECKSUM if number % 3 == 1 else UserStatus.OK
        packet[1, 0] ^= int(status == UserStatus.CHECKSUM)
        assert await read_beside(bench, packet) == {"taken": number + 1, "dropped": number}
        await bench.items(0, number)
        assert bench.status(0) == status
        if status == UserStatus.OK:
            assert await bench.parts(0) == user_part(config, bench.users, payload).tolist()
        # What comes a second time waits too, and is refused.
        assert await read_beside(bench, packet) == {"taken": number + 1, "dropped": number + 1}
        assert bench.status(0) == status
        await bench.clear(0, number)


async def read_beside(bench, packet):
    """Read rows while a packet comes, then let it act; the packets that acted and were refused until then."""
    before = bench.counts.copy()
    bench.asking["i_hold"] = 1
    await offer(bench, packet)
    for name in bench.rows:
        row = random.randrange(len(bench.rows[name]))
        assert await bench.read(name, row) == bench.rows[name][row]
    assert bench.counts == before
    assert bench.dut.o_busy.value == 1
    bench.asking["i_hold"] = 0
    for _ in range(1000):
        await bench.step()
        if bench.counts != before:
            return bench.counts
    raise AssertionError("a packet that nobody holds back did not act")


async def offer(bench, packet):
    """Send a packet to its last beat, which is not waited for to act."""
    for number, beat in enumerate(packet):
        inputs = {"s_axis_users__tvalid": 1, "s_axis_users__tdata": int.from_bytes(beat.tobytes(), "little")}
        inputs["s_axis_users__tlast"] = int(number == len(packet) - 1)
        await bench.step(**inputs)
        while not bench.dut.s_axis_users__tready.value:
            await bench.step(**inputs)
    for _ in range(20):
        await bench.step()


@pytest.mark.parametrize("name", list(CHECKED))
def test_reads_what_a_bank_was_loaded_with(name):
    run_bench(Bare(UserBank(shape=checked_shape(name))), module=__name__, parameters={"engine": name})

"""The buffer of user packets: whole packets come out as they went in, and what is wrong with them is told."""

import random
import zlib

import cocotb
import numpy as np
import pytest

from microduet_hw.status import UserStatus
from microduet_hw.user_buffer import UserBuffer, after_zeros
from microduet_hw.user_packets import USER, USER_CONSTANTS, UserKind, pack_abandon, pack_user, scale_bits
from microduet_hw.user_reference import packet_status
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import begin, cycle
from tests.support.users import UserSender

LENGTHS = {"one byte": 1, "two whole beats": 128, "five beats, not whole": 4 * 64 + 33}
MODEL = {"version": 77, "scale": np.float32(0.0375), "zero_point": 131}
CONSTANTS = USER_CONSTANTS.const({**MODEL, "scale": scale_bits(MODEL["scale"]), "shift": 5}).as_bits()
IDLE = {"s_axis_users__tvalid": 0, "i_release": 0, "i_read": 0, "i_constants": CONSTANTS}


def flipped(beats, bit):
    """The beats with one bit the other way."""
    changed = beats.copy()
    changed[bit // 512, bit % 512 // 32] ^= np.uint32(1 << bit % 32)
    return changed


def random_packet(length, *, right):
    """A packet: good with probability `right`, else wrong in one way or several."""
    payload = np.random.default_rng(random.getrandbits(32)).integers(0, 256, length, dtype=np.uint8)
    model, wrong = dict(MODEL), random.random() >= right
    if wrong and random.random() < 0.3:
        model |= random.choice([
            {"version": MODEL["version"] ^ 1 << random.randrange(32)},
            {"scale": np.uint32(scale_bits(MODEL["scale"]) ^ 1 << random.randrange(32)).view(np.float32)},
            {"zero_point": MODEL["zero_point"] ^ 1 << random.randrange(8)},
        ])  # fmt: skip
    if wrong and random.random() < 0.3:
        payload = payload[: random.randrange(length)] if random.random() < 0.5 else np.pad(payload, (0, 1))
    header = {"number": random.getrandbits(16), "slot": random.getrandbits(8)}
    if random.random() < 0.1:
        return pack_abandon(**header)
    beats = pack_user(**header, **model, payload=payload)
    if wrong and random.random() < 0.3:
        beats = flipped(beats, random.randrange(512, 512 + 8 * len(payload))) if len(payload) else beats
    if wrong and random.random() < 0.3:
        extra = np.full((random.choice([1, 2, 20]), 16), 0xABCDEF01, np.uint32)
        beats = np.concatenate([beats, extra]) if random.random() < 0.5 else beats[: random.randint(1, len(beats))]
    # What stands behind the last byte is nobody's.
    return beats if wrong else padded(beats, length)


def padded(beats, length):
    """The beats with other bytes than zeros behind the payload's last one."""
    text = bytearray(beats.tobytes())
    text[64 + length :] = random.randbytes(len(text) - 64 - length)
    return np.frombuffer(bytes(text), np.uint32).reshape(-1, 16)


async def read_vector(dut, length):
    """The bytes that the buffer holds."""
    text = b""
    for number in range(-(-length // 64)):
        await cycle(dut, s_axis_users__tvalid=0, i_read=1, i_beat=number)
        await cycle(dut, i_read=0)
        text += int(dut.o_beat.value).to_bytes(64, "little")
    return text[:length]


@cocotb.test()
async def tells_what_came(dut):
    parameters = bench_parameters()
    length = LENGTHS[parameters["length"]]
    # The rarest kind is one of eighteen: of so many packets none is of it in one of ten million runs.
    packets = [random_packet(length, right=0.4) for _ in range(300)]
    sender, seen = UserSender(packets, wait=parameters["wait"]), []
    await begin(dut, **IDLE)
    for packet in packets:
        ended = None
        for passed in range(10000):
            await cycle(dut, **{**IDLE, **sender.inputs()})
            assert not (dut.s_axis_users__tready.value and ended is not None), "a beat was taken before the release"
            ended = passed if sender.look(dut) else ended
            if dut.o_valid.value:
                assert passed - ended == UserBuffer.LATENCY
                break
        expected = packet_status(packet, length=length, **MODEL)
        header = USER.from_bits(int.from_bytes(packet[0].tobytes(), "little"))
        assert int(dut.o_header.value) == header.as_bits()
        assert UserStatus(int(dut.o_status.value)) == expected, f"{len(seen)}: not {expected!r}"
        if expected == UserStatus.OK and header["kind"] == UserKind.VECTOR:
            held = sender.offered
            assert await read_vector(dut, length) == packet[1:].tobytes()[:length]
            assert dut.o_valid.value == 1
            assert not held or dut.s_axis_users__tready.value == 0
        await cycle(dut, **{**IDLE, "i_release": 1})
        seen.append(expected)
    for status in (UserStatus.OK, UserStatus.STALE_VERSION, UserStatus.WRONG_LENGTH, UserStatus.CHECKSUM):
        assert status in seen, f"no packet was {status!r}"


@cocotb.test()
async def forgets_half_a_packet_in_a_reset(dut):
    length = LENGTHS[bench_parameters()["length"]]
    packet = pack_user(number=1, slot=2, **MODEL, payload=np.arange(length, dtype=np.uint8) ^ 0x5A)
    await begin(dut, **IDLE)
    await cycle(dut, **{**IDLE, **UserSender([packet], wait=0).inputs(), "s_axis_users__tlast": 0})
    await cycle(dut, **IDLE, rst=1)
    sender = UserSender([packet], wait=0)
    await cycle(dut, **IDLE, rst=0)
    while not dut.o_valid.value:
        await cycle(dut, **{**IDLE, **sender.inputs()})
        sender.look(dut)
    assert dut.o_status.value == 0


@pytest.mark.parametrize("wait", [0.0, 0.5])
@pytest.mark.parametrize("length", list(LENGTHS))
def test_tells_what_came(length, wait):
    run_bench(UserBuffer(length=LENGTHS[length]), module=__name__, parameters={"length": length, "wait": wait})


@pytest.mark.parametrize("count", [0, 1, 63])
def test_checksums_are_carried_over_zeros(count):
    text = random.Random(count).randbytes(70)
    state = after_zeros(zlib.crc32(text) ^ 0xFFFFFFFF, count)
    assert state ^ 0xFFFFFFFF == zlib.crc32(text + bytes(count))


@pytest.mark.parametrize("length", [0, 1 << 16])
def test_lengths_without_a_place_in_the_header_are_refused(length):
    with pytest.raises(ValueError, match="length must be 1 to 65535"):
        UserBuffer(length=length)

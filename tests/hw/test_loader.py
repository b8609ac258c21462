"""The loader: chunks become words, words go where their beat says, and only while the engine is idle."""

import random
import zlib

import cocotb
import pytest

from microduet_hw.loader import BEAT, DATA_BITS, Loader, Target
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import begin, cycle

CHUNKS = 3
CUT, WHOLE = 2 * DATA_BITS + 100, 3 * DATA_BITS
ROW_AT, UNIT_AT = BEAT["row"].offset, BEAT["unit"].offset


def random_word():
    """A word as its beats: all but the last without commit."""
    header = {
        "row": random.getrandbits(24),
        "unit": random.getrandbits(16),
        "target": random.choice(list(Target)),
        "check": random.getrandbits(1),
        "reserved": random.getrandbits(6),
    }
    chunks = [random.getrandbits(DATA_BITS) for _ in range(random.randint(1, CHUNKS))]
    last = len(chunks) - 1
    beats = [{**header, "data": data, "chunk": k, "commit": int(k == last)} for k, data in enumerate(chunks)]
    return header, chunks, [BEAT.const(beat).as_bits() for beat in beats]


@cocotb.test()
async def hands_words_out(dut):
    await begin(dut, s_axis_load__tvalid=0, s_axis_load__tlast=0, i_idle=0)
    words = [random_word() for _ in range(200)]
    beats = [
        (bits, k if place == len(own) - 1 else None)
        for k, (*_, own) in enumerate(words)
        for place, bits in enumerate(own)
    ]
    reads = bench_parameters()["reads"]
    committed, offered, seen, waited, check, place = None, False, 0, 0, 0, (0, 0)
    while beats or committed is not None:
        offered = offered or (bool(beats) and random.random() < 0.7)
        idle = random.random() < 0.7
        await cycle(
            dut, s_axis_load__tvalid=int(offered), s_axis_load__tdata=beats[0][0] if offered else 0, i_idle=int(idle)
        )
        assert dut.s_axis_load__tready.value == idle
        assert dut.o_check.value == check
        assert (dut.o_row.value, dut.o_unit.value) == place
        if committed is None:
            assert dut.o_valid.value == 0
            assert not reads or dut.o_reads.value == 0
        else:
            header, chunks, _ = words[committed]
            asks = reads and header["check"]
            assert dut.o_valid.value == (0 if asks else 1 << header["target"])
            assert not reads or dut.o_reads.value == (1 << header["target"] if asks else 0)
            kept = min(bench_parameters()["bits"], DATA_BITS * len(chunks))
            expected = sum(chunk << DATA_BITS * k for k, chunk in enumerate(chunks))
            assert (int(dut.o_data.value) ^ expected) & (1 << kept) - 1 == 0
            seen += 1
        committed = None
        waited += offered and not idle
        if offered and idle:
            check = zlib.crc32(beats[0][0].to_bytes(64, "little"), check)
            place = beats[0][0] >> ROW_AT & (1 << 24) - 1, beats[0][0] >> UNIT_AT & (1 << 16) - 1
            committed = beats.pop(0)[1]
            offered = False
    assert seen == len(words)
    assert waited


@cocotb.test()
async def drops_words_for_unknown_targets(dut):
    await begin(dut, s_axis_load__tvalid=0, s_axis_load__tlast=0, i_idle=1)
    for target, check in [(target, check) for target in range(len(Target), 256) for check in (0, 1)]:
        beat = BEAT.const({"data": 1, "target": target, "commit": 1, "check": check}).as_bits()
        await cycle(dut, s_axis_load__tvalid=1, s_axis_load__tdata=beat)
        await cycle(dut, s_axis_load__tvalid=0)
        assert dut.o_valid.value == 0, target
        assert not bench_parameters()["reads"] or dut.o_reads.value == 0, target


@cocotb.test()
async def ignores_chunks_that_no_word_has(dut):
    await begin(dut, s_axis_load__tvalid=0, s_axis_load__tlast=0, i_idle=1)
    word = random.getrandbits(bench_parameters()["bits"])
    # Once more with all bits the other way, as each has to stay what it is.
    for chunk, kept in [(chunk, kept) for kept in (word, ~word) for chunk in range(256)]:
        data = (kept >> DATA_BITS * chunk if chunk < CHUNKS else random.getrandbits(DATA_BITS)) & (1 << DATA_BITS) - 1
        beat = BEAT.const({"data": data, "chunk": chunk, "commit": 1}).as_bits()
        await cycle(dut, s_axis_load__tvalid=1, s_axis_load__tdata=beat)
        await cycle(dut, s_axis_load__tvalid=0)
        assert dut.o_valid.value == 1
        if chunk >= CHUNKS - 1:
            assert dut.o_data.value == kept & (1 << bench_parameters()["bits"]) - 1, chunk


@cocotb.test()
async def forgets_a_write_that_a_reset_comes_upon(dut):
    """No word is written and no beat has been taken, though one comes in the very cycle of the reset."""
    await begin(dut, s_axis_load__tvalid=0, s_axis_load__tlast=0, i_idle=1)
    for target, check in [(target, check) for target in Target for check in (0, 1)]:
        beat = BEAT.const({"data": random.getrandbits(DATA_BITS), "target": target, "commit": 1, "check": check})
        await cycle(dut, s_axis_load__tvalid=1, s_axis_load__tdata=beat.as_bits())
        await cycle(dut, s_axis_load__tdata=beat.as_bits(), rst=1)
        assert dut.o_check.value == zlib.crc32(beat.as_bits().to_bytes(64, "little"))
        await cycle(dut, s_axis_load__tvalid=0, rst=0)
        assert dut.o_check.value == 0
        assert dut.o_valid.value == 0
        assert not bench_parameters()["reads"] or dut.o_reads.value == 0


@pytest.mark.parametrize(("bits", "reads"), [(CUT, False), (CUT, True), (WHOLE, True)])
def test_hands_words_out(bits, reads):
    run_bench(Loader(word_bits=bits, reads=reads), module=__name__, parameters={"bits": bits, "reads": reads})


@pytest.mark.parametrize("bits", [0, -1, 256 * DATA_BITS + 1])
def test_refuses_a_word_without_chunks_or_with_too_many(bits):
    with pytest.raises(ValueError, match=f"word_bits must be 1 to 114688, not {bits}"):
        Loader(word_bits=bits)

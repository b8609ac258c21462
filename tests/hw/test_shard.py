"""A card's shares: each vector leaves with its own header, whole and in order, whoever waits."""

import random

import cocotb
import pytest

from microduet_hw.config import Array, Feature, Part, Precision, Source, SourceKind
from microduet_hw.shard import LINK_BITS, VECTORS, ShardConfig, ShareStage, share_output
from microduet_hw.status import HEADER
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle
from tests.support.models import small_config

IDLE = {"i_words__valid": 0, "i_header__valid": 0, "i_reserve": 0, "m_axis_results__tready": 0}


@cocotb.test()
async def sends_packets(dut):
    parameters = bench_parameters()
    words = parameters["words"]
    vectors = [[random.getrandbits(LINK_BITS) for _ in range(words)] for _ in range(120)]
    headers = [random.getrandbits(HEADER.size) for _ in vectors]
    await begin(dut, **IDLE)
    started, word, header, full, beats = 0, words, False, False, []
    space, offered = False, None
    while len(beats) < len(vectors) * (words + 1):
        reserve = word == words and space and not header and started < len(vectors)
        reserve = reserve and random.random() >= parameters["wait"]
        sending = word < words
        ready = random.random() >= parameters["stall"]
        await cycle(
            dut,
            i_reserve=int(reserve),
            i_header__valid=int(header),
            i_header__payload=headers[started - 1] if header else 0,
            i_words__valid=int(sending),
            i_words__payload=vectors[started - 1][word] | (word == words - 1) << LINK_BITS if sending else 0,
            m_axis_results__tready=int(ready),
        )
        word += sending
        header = header and not dut.i_header__ready.value
        space = bool(dut.o_space.value) and not reserve
        full |= not dut.o_space.value
        if reserve:
            started, word, header = started + 1, 0, True
        valid = dut.m_axis_results__tvalid.value == 1
        now = (int(dut.m_axis_results__tdata.value), int(dut.m_axis_results__tlast.value)) if valid else None
        assert offered is None or now == offered, "what is offered holds until it is taken"
        offered = None if ready else now
        assert dut.o_return.value == (valid and ready and now[1])
        if valid and ready:
            beats.append(now)
    packets = [[header, *vector] for header, vector in zip(headers, vectors, strict=True)]
    assert beats == [(beat, int(k == words)) for packet in packets for k, beat in enumerate(packet)]
    assert full or parameters["stall"] < 0.8, f"{VECTORS} vectors wait at most"


class Waiting:
    """Headers and words that wait in the stage, vectors that have a place in it, and whether the header has left."""

    def __init__(self):
        self.headers, self.words, self.places, self.body = [], [], 0, False

    @property
    def beat(self):
        """The beat that is offered, as (data, last); None as long as the header or the word that is due is missing."""
        if not self.headers or not self.words:
            return None
        return self.words[0] if self.body else (self.headers[0], False)

    def take(self):
        """The offered beat leaves; whether it is the last of its packet."""
        _, last = self.beat
        if self.body:
            self.words.pop(0)
        if last:
            self.headers.pop(0)
            self.places -= 1
        self.body = not last
        return last


def vector(words):
    return [(random.getrandbits(LINK_BITS), word == words - 1) for word in range(words)]


def inputs(*, reserve, header, word, ready, reset):
    data, last = word or (random.getrandbits(LINK_BITS), random.getrandbits(1))
    return {
        "i_reserve": int(reserve),
        "i_header__valid": int(header is not None),
        "i_header__payload": random.getrandbits(HEADER.size) if header is None else header,
        "i_words__valid": int(word is not None),
        "i_words__payload": data | last << LINK_BITS,
        "m_axis_results__tready": int(ready),
        "rst": int(reset),
    }


@cocotb.test()
async def header_and_words_wait_for_each_other(dut):
    """Cycle by cycle: headers come early or late, words with gaps, and now and then all is forgotten in a reset."""
    await begin(dut, **IDLE)
    stage, coming, header, seen, eagerness = Waiting(), [], None, set(), 0.5
    for now in range(1200):
        if now % 60 == 0:
            eagerness = random.choice([0.2, 0.6, 0.9])
        reserve = stage.places < VECTORS and random.random() < eagerness
        header = random.getrandbits(HEADER.size) if header is None and random.random() < eagerness / 2 else header
        word = coming.pop(0) if coming and random.random() < 0.7 else None
        ready, reset, beat = random.random() > eagerness / 2, random.random() < 0.01, stage.beat
        await cycle(dut, **inputs(reserve=reserve, header=header, word=word, ready=ready, reset=reset))
        fits = len(stage.headers) < VECTORS
        assert (dut.o_space.value, dut.i_header__ready.value) == (stage.places < VECTORS, fits)
        assert dut.m_axis_results__tvalid.value == (beat is not None)
        assert beat is None or (dut.m_axis_results__tdata.value, dut.m_axis_results__tlast.value) == beat
        seen |= {("places", stage.places), ("headers", len(stage.headers)), ("words", bool(stage.words))}
        leaves = bool(beat and ready and stage.take())
        assert dut.o_return.value == leaves
        coming += vector(bench_parameters()["words"]) if reserve else []
        stage.places += reserve
        stage.words += [word] if word else []
        if header is not None and fits:
            stage.headers, header = [*stage.headers, header], None
        if reset:
            stage, coming, header = Waiting(), [], None
    assert {("places", VECTORS), ("headers", VECTORS), ("headers", 0), ("words", False)} <= seen


@pytest.mark.parametrize("words", [1, 5])
@pytest.mark.parametrize(("wait", "stall"), [(0.0, 0.0), (0.0, 0.8), (0.7, 0.1), (0.5, 0.5)])
def test_sends_packets(words, wait, stall):
    run_bench(
        Bare(ShareStage(words=words)),
        module=__name__,
        parameters={"words": words, "wait": wait, "stall": stall},
    )


def share_config(**changes):
    part = Part(feature=0, rows=50, columns=40, base=0, stride_log2=7)
    return small_config(elements=40).replace(
        features=(Feature(rows=50, dim=40, position=0),),
        sources=(Source(kind=SourceKind.HBM, parts=(part,)),),
        hidden=(),
        arrays=(),
        output=share_output(40),
        **changes,
    )


@pytest.mark.parametrize(("precision", "words"), [(Precision.INT8, 1), (Precision.FIXED16, 2), (Precision.FIXED32, 3)])
def test_a_share_has_whole_beats(precision, words):
    config = ShardConfig.of(share_config(precision=precision))
    assert config.words == words
    assert config.digest != share_config(precision=precision).digest, "it is not built as the engine of that name"


def test_an_engine_with_layers_is_no_share():
    with pytest.raises(ValueError, match="a card's share is of looked-up features alone"):
        ShardConfig.of(small_config(elements=12, hidden=(5,), arrays=(Array(pes=6, lanes=4, drain=4, layers=(0,)),)))


def test_a_share_has_words():
    with pytest.raises(ValueError, match="words must be at least 1, not 0"):
        ShareStage(words=0)

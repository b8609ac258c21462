"""The answer sender: headers and payloads in the order of their records, the shorter form of each, no beat changed
until it is taken."""

import random
from collections import deque

import cocotb
import numpy as np
import pytest

from microduet_hw.activation import VECTORS
from microduet_hw.config import Layer, Precision
from microduet_hw.edge.answers import RECORD, WAITING, AnswerSender
from microduet_hw.edge.config import EdgeConfig, History
from microduet_hw.edge.memo import TAG_BITS
from microduet_hw.edge.message import ANSWER, CONSTANTS
from microduet_hw.edge.payload_coder import BEAT_BYTES
from microduet_hw.stack import Stack
from microduet_hw.user_code import shorter
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle
from tests.support.streams import StreamSource

LANES = 4
UNUSED = {"zero_point": 0, "pooled": {"mantissa": 0, "exponent": 0}, "bottom": {"mantissa": 0, "exponent": 0}}
"""Constants of the vector."""
BITS = LANES * 8
IDLE = {"i_records__valid": 0, "i_words__valid": 0, "i_reserve": 0, "i_status": 0, "m_axis_results__tready": 0}


def config_of(payload_bytes):
    layer = Layer(inputs=LANES, outputs=payload_bytes, relu=False)
    top = Stack(precision=Precision.INT8, inputs=LANES, layers=(layer,), pes=2, lanes=LANES)
    return EdgeConfig(name="small", histories=(History(dims=(LANES,), slots=2),), top=top)


def random_record(*, payload):
    fields = {"tag": 32, "status": 16, "kind": 8, "statics": TAG_BITS}
    return {name: random.getrandbits(bits) for name, bits in fields.items()} | {"payload": int(payload)}


def random_constants():
    fields = {"version": 32, "scale": 32, "payload_zero_point": 8}
    return {name: random.getrandbits(bits) for name, bits in fields.items()}


def random_words(length):
    """The words of a payload, any share of whose bytes is 0, and anything behind its end."""
    zeros = random.choice([0.0, 0.9, random.random()])
    payload = [0 if random.random() < zeros else random.randrange(256) for _ in range(length)]
    padded = bytes(payload) + random.randbytes(-length % LANES)
    return [int.from_bytes(padded[k : k + LANES], "little") for k in range(0, len(padded), LANES)]


def code_of(words, length):
    """The code of a payload, if it is shorter."""
    text = b"".join(word.to_bytes(LANES, "little") for word in words)
    coded = shorter(np.frombuffer(text[:length], np.uint8))
    return b"" if coded is None else coded.tobytes()


def header_of(record, constants, *, length, status, coded):
    """The first beat of an answer; `status` is what is wrong with payloads."""
    return ANSWER.const(
        {
            **{name: record[name] for name in ("tag", "kind", "statics")},
            "status": record["status"] | (status if record["payload"] else 0),
            "version": constants["version"],
            "scale": constants["scale"],
            "zero_point": constants["payload_zero_point"],
            "length": length if record["payload"] else 0,
            "coded": len(coded),
        }
    ).as_bits()


class Payloads:
    """Reserves a place for each payload and sends its words with gaps, whenever the records come."""

    def __init__(self, vectors, *, wait):
        self.vectors, self.wait = vectors, wait
        self.reserved, self.sent, self.waiting = 0, 0, deque()
        self.came = []
        """The cycle of every word."""

    @property
    def space(self):
        return self.reserved - self.sent < VECTORS

    def drive(self, now):
        reserve = self.space and self.reserved < len(self.vectors) and random.random() >= self.wait
        inputs = {"i_reserve": int(reserve), "i_words__valid": 0, "i_words__payload": random.getrandbits(BITS)}
        if self.waiting and random.random() >= self.wait:
            word, last = self.waiting.popleft()
            inputs |= {"i_words__valid": 1, "i_words__payload": word | last << BITS}
            self.came.append(now)
        if reserve:
            vector = self.vectors[self.reserved]
            self.waiting.extend((word, k == len(vector) - 1) for k, word in enumerate(vector))
        return inputs


async def observe(dut, records, payloads, *, stall):
    """The port and `i_status` in every cycle, until all records are answered."""
    trace, answered, status = [], 0, 0
    while answered < len(records):
        space, inputs = payloads.space, payloads.drive(len(trace))
        status ^= random.getrandbits(16) if random.random() < 0.3 else 0
        ready = random.random() >= stall
        await cycle(dut, m_axis_results__tready=int(ready), i_status=status, **inputs)
        seen = {"tvalid": int(dut.m_axis_results__tvalid.value)}
        if seen["tvalid"]:
            seen |= {name: int(getattr(dut, f"m_axis_results__{name}").value) for name in ("tdata", "tlast")}
        trace.append({"tready": ready, "status": status, "o_sent": int(dut.o_sent.value), **seen})
        assert dut.o_space.value == space
        payloads.reserved += inputs["i_reserve"]
        if ready and seen["tvalid"] and seen["tlast"]:
            payloads.sent += records[answered]["payload"]
            answered += 1
    return trace


def schedule(trace, records, arrivals, payloads, *, beats_of, latency):
    """What should be on the port: cycles from a beat's first to the one in which it is taken, beat, last of its answer.

    A header comes two cycles after its record, `latency` after its payload, and behind the answer before it; a payload
    is coded word by word, once the one before it has left.
    """
    now, left, came, vectors = 0, -1, iter(payloads.came), iter(payloads.vectors)
    for record, arrival in zip(records, arrivals, strict=True):
        first, vector = max(now, arrival + 2), next(vectors) if record["payload"] else []
        coded = left
        for _ in vector:
            coded = max(coded + 1, next(came))
        first = max(first, coded + latency) if vector else first
        beats = beats_of(record, vector, trace[first - 1]["status"])
        for number, beat in enumerate(beats, 1):
            taken = next(k for k in range(first, len(trace)) if trace[k]["tready"])
            yield range(first, taken + 1), beat, number == len(beats)
            first = taken + 1
        now, left = first, first - 2 if vector else left


@cocotb.test()
async def answers_in_order(dut):
    parameters = bench_parameters()
    length, stall = parameters["length"], parameters["stall"]
    records = [random_record(payload=random.random() < 0.6) for _ in range(300)]
    constants = random_constants()
    vectors = [random_words(length) for r in records if r["payload"]]
    payloads = Payloads(vectors, wait=parameters["word_wait"])
    await begin(dut, i_constants=CONSTANTS.const(constants | UNUSED).as_bits(), **IDLE)
    source = StreamSource(dut, "i_records", clock=dut.clk, wait=parameters["record_wait"])
    source.send(RECORD.const(record).as_bits() for record in records)
    trace = await observe(dut, records, payloads, stall=stall)

    def beats_of(record, vector, status):
        code = code_of(vector, length)
        sent = [int.from_bytes(code[k : k + BEAT_BYTES], "little") for k in range(0, len(code), BEAT_BYTES)] or vector
        return [header_of(record, constants, length=length, status=status, coded=code), *sent]

    assert {len(code_of(vector, length)) > 0 for vector in vectors} == {True, False}
    latency = AnswerSender(config=config_of(length)).latency
    expected: list[dict[str, int]] = [{"tvalid": 0, "o_sent": 0} for _ in trace]
    for cycles, beat, last in schedule(trace, records, source.cycles, payloads, beats_of=beats_of, latency=latency):
        for now in cycles:
            sent = int(last and now == cycles[-1])
            expected[now] = {"tvalid": 1, "tdata": beat, "tlast": int(last), "o_sent": sent}
    for now, (seen, wanted) in enumerate(zip(trace, expected, strict=True)):
        assert {name: seen[name] for name in wanted} == wanted, now


@cocotb.test()
async def tells_the_constants_of_the_model(dut):
    """Those that are there when the header comes: another model may have been loaded since the last answer."""
    await begin(dut, **IDLE | {"m_axis_results__tready": 1})
    source = StreamSource(dut, "i_records", clock=dut.clk)
    for _ in range(20):
        constants, record = random_constants(), random_record(payload=False)
        source.send([RECORD.const(record).as_bits()])
        await cycle(dut, i_constants=CONSTANTS.const(constants | UNUSED).as_bits())
        for _ in range(20):
            if dut.m_axis_results__tvalid.value:
                break
            await cycle(dut)
        header = header_of(record, constants, length=0, status=0, coded=b"")
        bus = [getattr(dut, f"m_axis_results__t{name}").value for name in ("valid", "data", "last")]
        assert bus == [1, header, 1]
        await cycle(dut)


@cocotb.test()
async def holds_records_up_when_full(dut):
    """Behind a query's answer `WAITING` records wait, itself among them."""
    await begin(dut, **IDLE | {"m_axis_results__tready": 1})
    source = StreamSource(dut, "i_records", clock=dut.clk)
    source.send(RECORD.const(random_record(payload=k == 0)).as_bits() for k in range(2 * WAITING))
    for _ in range(3 * WAITING):
        await cycle(dut)
        assert dut.m_axis_results__tvalid.value == 0
    assert len(source.cycles) == WAITING


CASES = [
    # bytes of a payload, waits of records and of words, stalls of the port
    (4, 0.0, 0.0, 0.0),
    (39, 0.8, 0.1, 0.3),
    (10, 0.0, 0.7, 0.0),
    (12, 0.1, 0.1, 0.7),
]


@pytest.mark.parametrize(("length", "record_wait", "word_wait", "stall"), CASES)
def test_answers_in_order(length, record_wait, word_wait, stall):
    run_bench(
        Bare(AnswerSender(config=config_of(length))),
        module=__name__,
        parameters={"length": length, "record_wait": record_wait, "word_wait": word_wait, "stall": stall},
    )

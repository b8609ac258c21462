"""The result stage: every result with its own header, in order, and nothing lost when nobody takes them."""

import random

import cocotb
import pytest

from microduet_hw.output_layer import result_layout
from microduet_hw.places import RESULTS
from microduet_hw.result import BEAT, HEADERS, ResultStage
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle
from tests.support.streams import StreamSource

LOGIT_BITS = 16
LAYOUT = result_layout(LOGIT_BITS)
IDLE = {"i_headers__valid": 0, "i_results__valid": 0, "m_axis_results__tready": 0}


def random_items(count):
    return [
        {
            "tag": random.getrandbits(32),
            "status": random.getrandbits(8),
            "logit": random.randint(-(1 << LOGIT_BITS - 1), (1 << LOGIT_BITS - 1) - 1),
            "score": random.getrandbits(16),
        }
        for _ in range(count)
    ]


def payload(item):
    return LAYOUT.const({"logit": item["logit"], "score": item["score"]}).as_bits()


@cocotb.test()
async def joins_results_and_headers(dut):
    parameters = bench_parameters()
    items = random_items(400)
    await begin(dut, **IDLE)
    headers = StreamSource(dut, "i_headers", clock=dut.clk, wait=parameters["header_wait"])
    headers.send([item["tag"] | item["status"] << 32 for item in items])
    places, sent, offered, beats, full = RESULTS, 0, None, [], False
    while len(beats) < len(items):
        # As the output layer does: a result is sent only if it has a place.
        send = sent < len(items) and places > 0 and random.random() >= parameters["result_wait"]
        ready = random.random() >= parameters["stall"]
        await cycle(
            dut,
            i_results__valid=int(send),
            i_results__payload=payload(items[sent]) if send else 0,
            m_axis_results__tready=int(ready),
        )
        valid, data = dut.m_axis_results__tvalid.value == 1, int(dut.m_axis_results__tdata.value)
        assert offered is None or (valid and data == offered)
        assert dut.m_axis_results__tlast.value == 1
        assert dut.o_return.value == (valid and ready)
        offered = data if valid and not ready else None
        if valid and ready:
            beats.append(data)
        full |= places == 0
        places += int(valid and ready) - int(send)
        sent += send
        # A header is there before it can leave.
        assert len(beats) <= len(headers.cycles)
    for bits, item in zip(beats, items, strict=True):
        found = BEAT.from_bits(bits)
        assert {name: found[name] for name in item} == item
        assert {found[name] for name in ("slot", "rank", "user_status", "count", "reserved")} == {0}
    assert full or parameters["stall"] == 0


@cocotb.test()
async def holds_headers_up_when_full(dut):
    await begin(dut, **IDLE)
    headers = StreamSource(dut, "i_headers", clock=dut.clk)
    headers.send(range(2 * HEADERS))
    for _ in range(HEADERS + 20):
        await cycle(dut)
    assert len(headers.cycles) == HEADERS
    assert dut.m_axis_results__tvalid.value == 0
    await cycle(dut, i_results__valid=1, i_results__payload=0, m_axis_results__tready=1)
    await cycle(dut, i_results__valid=0)
    # one cycle after the result
    assert dut.m_axis_results__tvalid.value == 1
    await cycle(dut)
    await cycle(dut)
    assert len(headers.cycles) == HEADERS + 1


WAITS = [
    # header_wait, result_wait, stall
    (0.0, 0.0, 0.0),
    (0.0, 0.2, 0.8),
    (0.8, 0.0, 0.1),
    (0.5, 0.5, 0.5),
]


@pytest.mark.parametrize(("header_wait", "result_wait", "stall"), WAITS)
def test_joins_results_and_headers(header_wait, result_wait, stall):
    run_bench(
        Bare(ResultStage(logit_bits=LOGIT_BITS)),
        module=__name__,
        parameters={"header_wait": header_wait, "result_wait": result_wait, "stall": stall},
    )

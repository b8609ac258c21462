"""The buffer of messages with long ones, and with the longest waits."""

import itertools
import random

import cocotb
from cocotb.triggers import ClockCycles

from microduet_hw.edge.message import EdgeStatus, Kind, message_beats, message_elements
from microduet_hw.edge.message_buffer import MessageBuffer
from tests.support.bench import run_bench
from tests.support.edge import bottom, small_edge
from tests.support.edge_messages import IDLE, Packet, give, stands
from tests.support.flow import begin, cycle

CONFIG = small_edge(((4,), 3), static=bottom(0xAAAA), dynamic=bottom(0x5555))
"""Numbers of elements with every other bit that a header has for them."""
LIMIT, ENDS = CONFIG.watchdog, 8
CASES = [
    # kind, cycles without a beat, beats too many, status
    (Kind.STATIC, LIMIT - 1, 0, EdgeStatus.OK),
    (Kind.QUERY, LIMIT, 0, EdgeStatus.TIMEOUT),
    (Kind.STATIC, 2, 1, EdgeStatus.LONG_PACKET),
    (Kind.QUERY, 2, 0, EdgeStatus.OK),
]


async def give_evenly(dut, beats, **inputs):
    """As `give`, at the simulator's speed where a beat comes again and again."""
    for beat, group in itertools.groupby(beats):
        await give(dut, [beat], **inputs)
        if again := len(list(group)) - 1:
            await ClockCycles(dut.clk, again)


def long_packet(kind, *, excess):
    """A packet whose beats are all alike but for the first and the last few."""
    elements, count = message_elements(CONFIG, kind), message_beats(CONFIG, kind) + excess
    packet = Packet(kind=kind, group=0, elements=elements, beats=count, version=1)
    packet.data[ENDS:-ENDS] = packet.data[ENDS : ENDS + 1] * (count - 2 * ENDS)
    return packet


@cocotb.test()
async def long_messages_are_kept_whole_and_waited_for_as_long_as_they_may_take(dut):
    await begin(dut, **IDLE)
    for kind, pause, excess, status in CASES:
        packet, gone, count = long_packet(kind, excess=excess), pause == LIMIT, message_beats(CONFIG, kind)
        beats = [(beat, False) for beat in (packet.beats[0], *packet.data)]
        beats[-1] = (packet.data[-1], True)
        came = random.randint(1, ENDS)
        await give(dut, beats[:came], i_run=1, i_version=1, i_release=0)
        await cycle(dut, s_axis_items__tvalid=0)
        await ClockCycles(dut.clk, pause - 1)
        await give_evenly(dut, [] if gone else beats[came:])
        await cycle(dut, s_axis_items__tvalid=0)
        stands(dut, packet, status)
        for row in [*range(ENDS), *random.sample(range(count), ENDS), *range(count - ENDS, count)]:
            await cycle(dut, i_row=row)
            await cycle(dut)
            assert status or dut.o_row.value == packet.data[row]
        await cycle(dut, i_release=1)
        stands(dut, packet, status)
        await give_evenly(dut, beats[came:] if gone else [], i_release=0)


def test_long_messages_and_long_waits():
    run_bench(MessageBuffer(config=CONFIG), module=__name__)

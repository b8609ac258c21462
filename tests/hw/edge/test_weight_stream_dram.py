"""Streamed weights from the model of LPDDR4X: four channels at the speed of their buses, refresh included."""

import random

import cocotb

from microduet_hw.config import AXI_BYTES
from microduet_hw.edge.message import EdgeStatus
from microduet_hw.edge.weight_stream import WeightStream
from microduet_sim.dram.parameters import built_in
from tests.support.bench import run_bench
from tests.support.dram_memory import DramMemory
from tests.support.streams import StreamSink, start_clocks

ROWS, CHANNELS, PORT_MHZ = 700, 4, 1000
LPDDR = built_in("lpddr4x-4266")


@cocotb.test()
async def streams_at_the_speed_of_the_bus(dut):
    rows = [[random.getrandbits(8 * AXI_BYTES) for _ in range(CHANNELS)] for _ in range(ROWS)]
    memories = [
        DramMemory(
            dut=dut,
            name=f"m_axi_{channel}",
            image={AXI_BYTES * number: row[channel] for number, row in enumerate(rows)},
            parameters=LPDDR,
            channel=channel,
            channels=CHANNELS,
            port_mhz=PORT_MHZ,
            one_id=True,
        )
        for channel in range(CHANNELS)
    ]
    sink = StreamSink(dut, "o_rows", clock=dut.clk)
    dut.i_run.value = 1
    await start_clocks(dut)
    warm, count = 200, 5000
    words = await sink.receive(warm + count)
    expected = [sum(beat << 8 * AXI_BYTES * k for k, beat in enumerate(row)) for row in rows]
    assert words == [expected[k % ROWS] for k in range(len(words))]
    cycles = sink.cycles[warm + count - 1] - sink.cycles[warm - 1]
    found = count * CHANNELS * AXI_BYTES / (cycles * 1000 / PORT_MHZ)
    dut._log.info("%.2f GB/s of %.2f", found, CHANNELS * LPDDR.peak_gigabytes_per_s)
    # What was read ahead of the first row that counts may leave among those that do.
    assert 0.97 < found / (CHANNELS * LPDDR.peak_gigabytes_per_s) < 1.02
    assert min(memory.refresh_intervals for memory in memories) > 4
    assert EdgeStatus(dut.o_status.value.to_unsigned()) == EdgeStatus.OK


def test_streams_at_the_speed_of_the_bus():
    run_bench(WeightStream(beats=ROWS, channels=CHANNELS, watchdog=65536), module=__name__)

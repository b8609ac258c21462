"""The runtime on a tiny engine: batches, modes, stalls, faults, registers, errors."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from microduet_hw.config import SourceKind
from microduet_sim.batch import Fault, Stalls
from microduet_sim.build import Library, build
from microduet_sim.card import LATENCY_NS, SimulationError
from microduet_sim.dram import Memory
from microduet_sim.simulator import Simulator
from microduet_sim.tables import StoredTable
from tests.sim.engines import ECHO_ROWS, echo_config, echo_logits, echo_packets, echo_table, echo_verilog

INDICES = np.random.default_rng(5).integers(0, ECHO_ROWS, 60)
KEPT, LOADS, SUM = 0x10, 0x14, 0x18


@pytest.fixture(scope="module")
def library() -> Library:
    return build(echo_config(), echo_verilog())


@pytest.fixture
def simulator(library: Library) -> Iterator[Simulator]:
    with Simulator(echo_config(), library, tables=[echo_table()]) as opened:
        yield opened


def test_results_come_in_order_with_their_times(simulator: Simulator) -> None:
    results = simulator.run(echo_packets(INDICES))
    assert results.tag.tolist() == list(range(1000, 1060))
    assert (results.logit == echo_logits(INDICES)).all()
    assert not results.status.any()
    assert (results.accepted_ps < results.vector_ps).all()
    assert (results.vector_ps < results.finished_ps).all()
    assert simulator.counters().reads == {0: len(INDICES)}
    assert simulator.counters().commands[0]["RD"] == len(INDICES)


def waits_ns(simulator: Simulator, indices: list[int]) -> list[float]:
    """From the acceptance of an address to its row, of items one at a time."""
    results = simulator.run(echo_packets(np.array(indices)), mode="idle")
    # The address is on the pins one cycle after the packet was taken, and accepted at the edge that ends it.
    cycle = 1000 / echo_config().memory_mhz
    return ((results.vector_ps.astype(float) - results.accepted_ps.astype(float)) / 1000 - cycle).tolist()


def test_simple_memory_answers_after_its_latency(library: Library) -> None:
    with Simulator(echo_config(), library, tables=[echo_table()], memory="simple") as simulator:
        for wait in waits_ns(simulator, [3, 3, 1000]):
            assert LATENCY_NS[SourceKind.HBM] - 0.01 <= wait <= LATENCY_NS[SourceKind.HBM] + 1000 / 450 + 0.01


def test_dram_answers_as_the_card_does(library: Library) -> None:
    with Simulator(echo_config(), library, tables=[echo_table()]) as simulator:
        closed, hit = waits_ns(simulator, [0, 2])
    assert closed == pytest.approx(122.2, abs=2.3)
    assert hit == pytest.approx(106.7, abs=2.3)


def test_the_memorys_share_of_the_time_is_a_part_of_it(simulator: Simulator) -> None:
    assert 0 < simulator.memory_share(echo_packets(INDICES)) < 1


@pytest.mark.parametrize("memory", ["dram", "simple"])
def test_rows_written_through_the_port_are_looked_up(library: Library, memory: Memory) -> None:
    with Simulator(echo_config(), library, tables=[echo_table()], memory=memory) as simulator:
        simulator.write_memory(0, 5 * 32, np.arange(500, 516, dtype=np.int16).view(np.uint8))
        results = simulator.run(echo_packets([4, 5, 6]))
    before, after = echo_logits([4, 6])
    assert results.logit.tolist() == [before, 501 << 16 | 500, after]


@pytest.mark.parametrize(
    ("source", "at", "length", "message"),
    [
        (1, 0, 32, "source must be a memory channel, .0., not 1"),
        (0, 16, 32, "memory is written in beats of 32 bytes, not 32 bytes at 16"),
        (0, 0, 33, "memory is written in beats of 32 bytes, not 33 bytes at 0"),
    ],
)
def test_wrong_writes_to_memory_are_refused(
    simulator: Simulator, source: int, at: int, length: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        simulator.write_memory(source, at, np.zeros(length, np.uint8))


@pytest.mark.parametrize("probability", [0.2, 0.8])
def test_stalls_change_times_only(simulator: Simulator, probability: float) -> None:
    simulator.set_stalls(Stalls.everywhere(probability, seed=3))
    simulator.write(KEPT, 77)
    assert simulator.read(KEPT) == 77
    simulator.load(np.full((40, 16), 3, np.uint32))
    assert (simulator.read(LOADS), simulator.read(SUM)) == (40, 120)
    results = simulator.run(echo_packets(INDICES))
    assert (results.logit == echo_logits(INDICES)).all()


def test_stalls_repeat_with_their_seed(library: Library) -> None:
    cycles: list[int] = []
    for seed in (1, 1, 2):
        with Simulator(echo_config(), library, tables=[echo_table()]) as simulator:
            simulator.set_stalls(Stalls.everywhere(0.5, seed=seed))
            cycles.append(simulator.run(echo_packets(INDICES)).engine_cycles)
    assert cycles[0] == cycles[1] != cycles[2]


def test_idle_mode_waits_for_each_result(simulator: Simulator) -> None:
    results = simulator.run(echo_packets(INDICES), mode="idle")
    assert (results.accepted_ps[1:] > results.finished_ps[:-1]).all()


def test_arrivals_are_not_early(simulator: Simulator) -> None:
    arrivals = np.arange(10) * 500
    start = simulator.counters().engine_cycles
    results = simulator.run(echo_packets(INDICES[:10]), mode=arrivals)
    cycles = results.accepted_ps.astype(float) * echo_config().engine_mhz / 1e6 - start
    assert (cycles >= arrivals - 1).all()
    assert (cycles <= arrivals + 3).all()


def test_short_and_long_packets_are_sent_as_asked(simulator: Simulator) -> None:
    packets = np.concatenate([echo_packets(INDICES[:6]), np.zeros((6, 16), np.uint32)], axis=1)
    results = simulator.run(packets, beats=[2, 1, 3, 2, 1, 2])
    assert (results.logit == echo_logits(INDICES[:6])).all()


def test_error_response_marks_one_item(simulator: Simulator) -> None:
    simulator.set_faults({0: Fault(error_on=3)})
    results = simulator.run(echo_packets(INDICES))
    assert np.flatnonzero(results.status).tolist() == [2]


def test_read_that_never_comes_back_ends_the_batch(simulator: Simulator) -> None:
    simulator.set_faults({0: Fault(silent_on=4)})
    with pytest.raises(SimulationError, match=r"nothing moved for 5000 engine cycles: 4 items accepted, 3 results out"):
        simulator.run(echo_packets(INDICES), patience=5000)
    assert simulator.closed


def test_batches_follow_each_other(simulator: Simulator) -> None:
    for size in (1, 7, 30):
        results = simulator.run(echo_packets(INDICES[:size]))
        assert (results.logit == echo_logits(INDICES[:size])).all()


def test_two_simulators_in_one_process(library: Library) -> None:
    other = StoredTable(rows=echo_table().rows[::-1].copy())
    with (
        Simulator(echo_config(), library, tables=[echo_table()]) as one,
        Simulator(echo_config(), library, tables=[other]) as two,
    ):
        one.write(KEPT, 1)
        two.write(KEPT, 2)
        assert (one.read(KEPT), two.read(KEPT)) == (1, 2)
        assert (one.run(echo_packets([5])).logit == echo_logits([5])).all()
        assert (two.run(echo_packets([5])).logit == echo_logits([ECHO_ROWS - 6])).all()


def test_mapped_table_is_read_in_place(library: Library, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", echo_table().rows)
    mapped = StoredTable(rows=np.load(tmp_path / "rows.npy", mmap_mode="r"))
    with Simulator(echo_config(), library, tables=[mapped]) as simulator:
        assert (simulator.run(echo_packets(INDICES)).logit == echo_logits(INDICES)).all()


def test_interrupt_in_the_report_ends_the_batch(simulator: Simulator) -> None:
    def interrupt(finished: int, cycles: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulator.run(echo_packets(np.zeros(1_000_000, int)), progress=interrupt)
    assert simulator.closed


def test_bare_loop_gives_the_same(simulator: Simulator) -> None:
    assert (simulator.run(echo_packets(INDICES), bare=True).logit == echo_logits(INDICES)).all()


def test_hashes_are_per_edge(simulator: Simulator) -> None:
    results = simulator.run(echo_packets(INDICES[:3]), hashes=100)
    assert results.hashes.shape == (100,)
    assert len(set(results.hashes.tolist())) > 3


def test_closed_simulator_says_so(library: Library) -> None:
    simulator = Simulator(echo_config(), library, tables=[echo_table()])
    simulator.close()
    simulator.close()
    with pytest.raises(SimulationError, match="closed"):
        simulator.read(KEPT)


def test_refuses_arrays_of_the_wrong_form(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="packets must be uint32"):
        simulator.run(np.zeros((3, 16), np.int64))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="packets must be uint32"):
        simulator.run(np.zeros((3, 15), np.uint32))
    with pytest.raises(ValueError, match="one element per item, 3"):
        simulator.run(np.zeros((3, 16), np.uint32), mode=[1, 2])
    with pytest.raises(ValueError, match=r"memory channels, \[0\], not \[4\]"):
        simulator.set_faults({4: Fault()})


def test_refuses_tables_that_do_not_fit(library: Library) -> None:
    with pytest.raises(ValueError, match="one per feature, 1, not 0"):
        Simulator(echo_config(), library, tables=[])
    with pytest.raises(ValueError, match="table 0 must be contiguous int16"):
        Simulator(echo_config(), library, tables=[StoredTable(rows=np.zeros((3, 3), np.int16))])


def test_library_of_another_configuration_is_refused(library: Library) -> None:
    config = echo_config()
    two = (*config.sources, config.sources[0].__class__(kind=SourceKind.DDR, parts=()))
    with pytest.raises(SimulationError, match="has 1 memory channels, the configuration 2"):
        Simulator(config.replace(sources=two), library, tables=[echo_table()])


def test_empty_batch_has_no_results(simulator: Simulator) -> None:
    assert simulator.run(np.zeros((0, 16), np.uint32)).tag.shape == (0,)


def test_wave_holds_the_window(tmp_path: Path) -> None:
    traced = build(echo_config(), echo_verilog(), wave="vcd")
    with Simulator(echo_config(), traced, tables=[echo_table()]) as simulator:
        simulator.wave(tmp_path / "echo.vcd", first=5, end=50)
        simulator.run(echo_packets(INDICES))
    text = (tmp_path / "echo.vcd").read_text()
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert "s_axis_items__tvalid" in text
    assert 45 <= (times[-1] - times[0]) * echo_config().engine_mhz / 1e6 <= 46


def test_wave_needs_a_build_with_waves(simulator: Simulator, tmp_path: Path) -> None:
    simulator.wave(tmp_path / "none.vcd", first=0, end=10)
    with pytest.raises(SimulationError, match="cannot write waves"):
        simulator.run(echo_packets(INDICES))


def test_floor_is_a_speed(simulator: Simulator) -> None:
    assert simulator.floor(seconds=0.01) > 0

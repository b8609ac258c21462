"""Verilator and Icarus Verilog: the same outputs in every cycle, from the same bench and seed."""

import os
import subprocess
import sys

import pytest

from microduet_hw.store import Store
from tests.hw.test_store import SIZES
from tests.support import ledger_sources
from tests.support.bench import BenchError, run_bench
from tests.support.cycle_log import differences, valid_of
from tests.support.demo import Queue
from tests.support.environment import REPOSITORY, require_tool
from tests.support.mutants import bench_files, component_called

SMALL = SIZES["small"]

SKIPPED: dict[str, str] = {}
"""Bench files that Icarus can't run, and why."""

OWN = ("test_two_simulators.py", "test_initial_state.py")
"""They choose the simulator themselves."""
BENCHES = [
    str(path.relative_to(REPOSITORY))
    for path in ledger_sources.tests()
    if ledger_sources.is_bench(path) and "support" not in path.name and path.name not in OWN
]
LEAVES = sorted({file for name in ledger_sources.leaves() for file in bench_files(component_called(name))})
"""Those of components that hold no other one."""


def run(file: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-m", "not nightly or counted", file]
    return subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def both(monkeypatch):
    require_tool("iverilog")
    monkeypatch.setenv("SIM", "both")


@pytest.mark.usefixtures("both")
def test_a_memory_is_the_same(capsys):
    run_bench(Store(rows=SMALL[0], bits=SMALL[1]), module="tests.hw.test_store", parameters={"size": "small"})
    assert "outputs equal in" in capsys.readouterr().out


@pytest.mark.usefixtures("both")
def test_a_queue_is_the_same(capsys):
    waits = {"wait": 0.5, "stall": 0.5}
    run_bench(Queue(), module="tests.hw.test_support_bench", scenarios=["keeps_order"], parameters=waits)
    assert "outputs equal in" in capsys.readouterr().out


@pytest.mark.usefixtures("both")
def test_a_bench_that_fails_says_where():
    with pytest.raises(BenchError, match="in icarus: keeps_order"):
        run_bench(
            Queue(fault="swaps_bits"),
            module="tests.hw.test_support_bench",
            scenarios=["keeps_order"],
            parameters={"wait": 0, "stall": 0},
        )


def test_a_netlist_passes_the_bench_of_its_source(monkeypatch):
    monkeypatch.setenv("SIM", "netlist")
    run_bench(Store(rows=SMALL[0], bits=SMALL[1]), module="tests.hw.test_store", parameters={"size": "small"})


@pytest.mark.nightly
@pytest.mark.parametrize("file", LEAVES)
def test_every_leafs_netlist_passes(file):
    done = run(file, SIM="netlist")
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_netlist_of_a_wrong_source_does_not(monkeypatch):
    monkeypatch.setenv("SIM", "netlist")
    with pytest.raises(BenchError, match="keeps_order"):
        run_bench(
            Queue(fault="swaps_bits"),
            module="tests.hw.test_support_bench",
            scenarios=["keeps_order"],
            parameters={"wait": 0, "stall": 0},
        )


@pytest.mark.nightly
@pytest.mark.parametrize("file", BENCHES)
def test_every_bench_is_the_same(file):
    if file in SKIPPED:
        pytest.skip(SKIPPED[file])
    require_tool("iverilog")
    done = run(file, SIM="both")
    assert done.returncode == 0, done.stdout[-4000:]


def test_logs_that_differ_are_found():
    assert differences("clk 0 1 2\nclk 1 - 3\n", "clk 0 1 2\nclk 1 - 3\n") == ([], 0)
    assert differences("clk 0 1\n", "clk 0 2\n")[0] == ["clk 0 1  |  clk 0 2"]
    assert differences("clk 0 1\n", "clk 0 1\nclk 1 1\n")[0] == ["1 cycles and 2 cycles"]
    assert differences("clk 0 1\n", "clk 0 -\n")[0]


def test_what_is_undefined_is_counted_and_left_out():
    assert differences("clk 0 1 2\n", "clk 0 ? 2\n") == ([], 1)
    assert differences("clk 0 1 2\n", "clk 0 ? 3\n")[0]


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("o__payload", "o__valid"),
        ("o__valid", None),
        ("m_axis__tdata", "m_axis__tvalid"),
        ("m_axi__araddr", "m_axi__arvalid"),
        ("o_count", None),
    ],
)
def test_a_payload_counts_when_it_is_valid(name, valid):
    names = {"o__valid", "o__payload", "m_axis__tvalid", "m_axi__arvalid", "m_axi__awvalid"}
    assert valid_of(name, names) == valid

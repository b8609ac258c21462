"""Runs cocotb benches against Amaranth components inside ordinary pytest functions.

A test file holds both halves: coroutines decorated with ``@cocotb.test()``, which the simulator's process runs, and
pytest functions that call `run_bench`. Name the coroutines by their scenario and without ``test_``, so that pytest
leaves them alone.

Environment: ``SIM`` (verilator, icarus, both, netlist), ``WAVES=1`` (keep the waves), ``COCOTB_RANDOM_SEED`` (repeat a
run), ``SEEDS=n`` (run every bench with n seeds, from that one on), ``X_INITIAL=unique`` (registers without a reset
begin at random), ``MICRODUET_COVERAGE=1`` (keep what the benches reach, see `coverage`), ``MICRODUET_MUTANTS=name``
(write benches down instead of running them, see `mutant_calls`).
"""

import contextlib
import dataclasses
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from amaranth.lib import wiring
from cocotb_tools.runner import Runner

from tests.support import cycle_log
from tests.support.bench_build import TOP, build, runner_of
from tests.support.coverage import covering, record
from tests.support.environment import changed_environment, output_folder
from tests.support.mutant_calls import mutated, write_down

PARAMETERS = "MICRODUET_BENCH_PARAMETERS"


class BenchError(AssertionError):
    """A bench failed. The message names the failed scenarios, the seed and the waves."""


def bench_parameters() -> dict[str, Any]:
    """What `run_bench` was given as `parameters`; to be called in the simulator's process."""
    return json.loads(os.environ.get(PARAMETERS, "{}"))


def chosen_simulator() -> str:
    """The simulator that SIM names: verilator (the default), icarus, or both, whose outputs must be the same.

    netlist is Verilator with what synthesis makes of the component.
    """
    name = os.environ.get("SIM") or "verilator"
    if name not in ("verilator", "icarus", "both", "netlist"):
        raise ValueError(f"SIM must be verilator, icarus, both or netlist, not {name!r}")
    return name


def seeds(first: int | None) -> range:
    """Seeds of a bench: `first` alone; if None, as many as SEEDS says from COCOTB_RANDOM_SEED or a new one on.

    Raises
    ------
    ValueError
        if SEEDS is no positive number
    """
    if first is not None:
        return range(first, first + 1)
    asked = os.environ.get("SEEDS") or "1"
    if not asked.isdecimal() or not int(asked):
        raise ValueError(f"SEEDS must be a positive number, not {asked!r}")
    drawn = int(os.environ.get("COCOTB_RANDOM_SEED") or secrets.randbits(31))
    return range(drawn, drawn + int(asked))


def initial_state(seed: int) -> list[str]:
    """Arguments of a Verilator simulation for registers that no reset writes: zeros, or random if X_INITIAL=unique.

    Raises
    ------
    ValueError
        if X_INITIAL is something else
    """
    asked = os.environ.get("X_INITIAL", "")
    if asked not in ("", "unique"):
        raise ValueError(f"X_INITIAL must be unique or nothing, not {asked!r}")
    # Its seed is a positive number of 31 bits.
    return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (2**31 - 1) + 1}"] if asked else []


def failures_in(results: Path, *, scenarios: Sequence[str]) -> list[str]:
    """One line per scenario that failed, or was asked for and did not run."""
    if not results.is_file():
        return ["the simulation ended without results"]
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    lines: list[str] = []
    for case in cases:
        fault = case.find("failure")
        fault = case.find("error") if fault is None else fault
        if fault is not None:
            said = fault.get("error_msg") or fault.get("message") or fault.text or ""
            lines.append(f"{case.get('name')}: {said.strip()}")
    ran = {case.get("name", "").split("/")[0] for case in cases if case.find("skipped") is None}
    lines += [f"{name}: did not run" for name in scenarios if name not in ran]
    return lines if cases else ["no scenario ran"]


def _failed_assertions(said: str) -> list[str]:
    """One line per assertion of the hardware that failed: Icarus says so and goes on, Verilator stops."""
    places = dict.fromkeys(re.findall(r"^(?:ERROR: |.*%Error: ).*?(\w+\.v:\d+):", said, re.MULTILINE))
    return [f"an assertion of the hardware failed at {place}" for place in places]


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """One bench with one seed, run with or without waves."""

    component: wiring.Component
    module: str
    scenarios: Sequence[str]
    parameters: Mapping[str, object]
    opened: Sequence[str]
    seed: int
    simulator: str
    folder: Path

    @property
    def waves(self) -> Path:
        return self.folder / ("top.fst" if self.simulator == "icarus" else "dump.vcd")

    def failures(self, *, waves: bool) -> list[str]:
        """Run it; one line per scenario that failed."""
        runner = runner_of(self.simulator)
        coverage = covering() and self.simulator == "verilator" and not waves
        drawn = [] if self.simulator == "icarus" else initial_state(self.seed)
        folder = build(
            runner,
            self.component,
            simulator=self.simulator,
            waves=waves,
            coverage=coverage,
            undefined=bool(drawn),
            opened=self.opened,
        )
        arguments = [f"+dumpfile_path={self.waves}"] if self.simulator == "icarus" else drawn
        failures, said = self._run(runner, folder, waves=waves, arguments=arguments)
        print(said)
        if coverage:
            record(self.component, build=folder, counts=self.folder / "coverage.dat")
        return failures

    def both(self) -> None:
        """Run it in both simulators with one seed, and hold their outputs to each other in every cycle."""
        said: list[str] = []
        logs = [self.folder / f"{simulator}.cycles" for simulator in ("verilator", "icarus")]
        for log in logs:
            log.unlink(missing_ok=True)
            with changed_environment(cycle_log.environment(self.component, log)):
                one = dataclasses.replace(self, simulator=log.stem)
                said += [f"in {log.stem}: {failure}" for failure in one.failures(waves=False)]
        found, undefined = cycle_log.differences(*(log.read_text() if log.is_file() else "" for log in logs))
        cycles = logs[0].read_text().count("\n") if logs[0].is_file() else 0
        said += [f"outputs differ: {line}" for line in found[:5]] + ([] if cycles else ["no cycle was written"])
        if said:
            raise BenchError("\n".join([*said, f"seed {self.seed}; repeat with COCOTB_RANDOM_SEED={self.seed}"]))
        print(f"outputs equal in {cycles} cycles; {undefined} undefined values left out")

    def judge(self, *, waves: bool, waves_on_failure: bool) -> None:
        """Run it, and again for its waves if it failed.

        Raises
        ------
        BenchError
            if anything failed
        """
        print(f"seed {self.seed}; repeat with COCOTB_RANDOM_SEED={self.seed}")
        if self.simulator == "both":
            self.both()
            return
        failures = self.failures(waves=waves)
        if failures and waves_on_failure and not waves:
            waves = True
            self.failures(waves=True)
        if failures:
            kept = f"waves in {self.waves}" if waves and self.waves.is_file() else "no waves kept"
            again = f"repeat with COCOTB_RANDOM_SEED={self.seed}"
            raise BenchError("\n".join([*failures, f"seed {self.seed}; {kept}; {again}"]))
        if waves:
            print(f"waves in {self.waves}")

    def _run(self, runner: Runner, folder: Path, *, waves: bool, arguments: Sequence[str]) -> tuple[list[str], str]:
        """What failed, and all that was said."""
        names = "|".join(re.escape(name) for name in self.scenarios)
        results, log = self.folder / "results.xml", self.folder / "simulation.log"
        # The runner raises one or the other if a scenario failed; the results say which. It prefers the environment's
        # WAVES to what it is told.
        with changed_environment({"WAVES": str(int(waves))}), contextlib.suppress(SystemExit, RuntimeError):
            runner.test(
                test_module=self.module,
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                test_filter=rf"\.({names})(/|$)" if names else None,
                seed=self.seed,
                extra_env={PARAMETERS: json.dumps(self.parameters)},
                plusargs=arguments,
                build_dir=folder,
                test_dir=self.folder,
                results_xml=str(results),
                log_file=log,
                waves=waves,
            )
        said = log.read_text(errors="replace") if log.is_file() else ""
        return failures_in(results, scenarios=self.scenarios) + _failed_assertions(said), said


def run_bench(
    component: wiring.Component,
    *,
    module: str,
    scenarios: Sequence[str] = (),
    parameters: Mapping[str, object] | None = None,
    opened: Sequence[str] = (),
    seed: int | None = None,
    waves_on_failure: bool = True,
) -> None:
    """Simulate `component` and run the cocotb scenarios of `module` against it.

    Ports are named as Amaranth names them: ``i__valid``, ``i__payload``; clocks ``clk``, ``mem_clk``, resets ``rst``,
    ``mem_rst``. A bench that failed is run again with the same seed to keep its waves.

    Parameters
    ----------
    component : what to simulate, as the top level
    module : the module that holds the scenarios; a test file passes ``__name__``
    scenarios : names of the coroutines to run; all of the module's if empty
    parameters : anything that JSON can hold, read in the simulator's process by `bench_parameters`
    opened : registers that scenarios set, as counters that nothing else brings near their end; those below the top
        level with the instances that lead to them, ``bare.reader_00.o_reads``
    seed : of the scenarios' random numbers; if None, those of `seeds`
    waves_on_failure : whether a failed bench is run again for its waves

    Raises
    ------
    BenchError
        if a scenario fails, an assertion of the hardware fails, or nothing ran
    BuildError
        if the component does not build without warnings
    """
    if mutated():
        write_down(component, module=module, scenarios=scenarios, parameters=parameters or {}, opened=opened)
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", module).split("::", 1)[-1].split(" ")[0]
    for one in seeds(seed):
        bench = _Bench(
            component=component,
            module=module,
            scenarios=scenarios,
            parameters=parameters or {},
            opened=opened,
            seed=one,
            simulator=chosen_simulator(),
            folder=output_folder(f"benches/{module}/{re.sub(r'[^a-zA-Z0-9_.=-]+', '-', test)}"),
        )
        bench.judge(waves=os.environ.get("WAVES", "") not in ("", "0"), waves_on_failure=waves_on_failure)

"""Which mutants a bench kills: all that it does not call good."""

import contextlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools.runner import Runner

from tests.support.bench import PARAMETERS, failures_in
from tests.support.bench_build import TOP
from tests.support.environment import changed_environment
from tests.support.mutant_calls import Call
from tests.support.mutant_fork import ASKED, RESULTS, SAID
from tests.support.mutant_model import MutantError

JOBS = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a bench says of a model: `refused` is why it does not pass the original, `killed` why each mutant fell."""

    refused: str
    killed: dict[int, str]


def _fault(folder: Path, how: str, call: Call) -> str:
    """Why a simulation is not good; nothing if it is."""
    if how != "status 0":
        said = (folder / SAID).read_text(errors="replace") if (folder / SAID).is_file() else ""
        return "an assertion of the hardware" if "%Error" in said else f"ended with {how}"
    return "; ".join(failures_in(folder / RESULTS, scenarios=call.scenarios))


def judge(runner: Runner, build: Path, call: Call, *, numbers: Sequence[int], folder: Path, seed: int) -> Verdict:
    """Run a bench with the original and with mutants of these numbers.

    Raises
    ------
    MutantError
        if the simulator does not start
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asked = {"folder": str(folder), "numbers": list(numbers), "jobs": JOBS}
    names = "|".join(re.escape(name) for name in call.scenarios)
    # What the runner says of results does not count: they lie with the mutants.
    with changed_environment({"WAVES": "0"}), contextlib.suppress(SystemExit, RuntimeError):
        runner.test(
            test_module=[call.module, "tests.support.mutant_fork"],
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            test_filter=rf"\.({names})(/|$)" if names else None,
            seed=seed,
            extra_env={
                PARAMETERS: json.dumps(call.parameters),
                ASKED: json.dumps(asked),
                "MICRODUET_MUTANTS": "",
                "COCOTB_MAX_FAILURES": "1",  # one scenario that fails is enough
            },
            build_dir=build,
            test_dir=folder,
            results_xml=str(folder / RESULTS),
            log_file=folder / SAID,
        )
    ended = folder / "ended.json"
    if not ended.is_file():
        raise MutantError(f"{call.test}: the simulator did not start; see {folder / SAID}")
    faults = {int(k): _fault(folder / k, how, call) for k, (how, _) in json.loads(ended.read_text()).items()}
    return Verdict(refused=faults.pop(0), killed={number: why for number, why in faults.items() if why})

"""Runs a bench once per mutant from one start of the simulator: imported in its process behind the bench's module.

The simulator has loaded the model and Python but not begun: what is forked here has all that, and takes no second to
start. Every child reads the number of its mutant from a file of its folder; this process only watches them, writes down
how each ended, and leaves. Nothing happens unless `ASKED` is set, so this is no module for pytest.
"""

import atexit
import contextlib
import json
import math
import os
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.mutant_model import CHOICE

ASKED = "MICRODUET_MUTANTS_TO_RUN"
RESULTS, SAID = "results.xml", "said.log"
FIRST_S = 120
"""Seconds that the original may take."""
SLOWER, SLACK_S = 5, 1
"""A mutant is stopped after so many times the original's seconds, and so many more."""
SAID_BYTES = 1 << 26


@dataclass(frozen=True, kw_only=True)
class _Child:
    number: int
    pid: int
    began: float


def _limits(cpu_s: float) -> None:
    """Of this process's own seconds: those of the clock depend on what else the machine does."""
    whole = math.ceil(cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
    resource.setrlimit(resource.RLIMIT_FSIZE, (SAID_BYTES, SAID_BYTES))


def _become(number: int, folder: Path, cpu_s: float) -> None:
    """Go on as the simulation of one mutant."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).unlink(missing_ok=True)
    (folder / CHOICE).write_text(f"{number}\n")
    os.chdir(folder)
    os.environ["COCOTB_RESULTS_FILE"] = str(folder / RESULTS)
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    _limits(cpu_s)
    # Verilator would wait for its idle thread, which a fork leaves behind.
    atexit.register(os._exit, 0)


def _ended(child: _Child, wall_s: float) -> tuple[str, float] | None:
    """How a child ended, and its seconds; None if it runs."""
    pid, status, usage = os.wait4(child.pid, os.WNOHANG)
    if pid:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
        return how, usage.ru_utime + usage.ru_stime
    if time.monotonic() - child.began > wall_s:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    return None


def _watch(numbers: Sequence[int], *, folder: Path, jobs: int, cpu_s: float) -> dict[int, tuple[str, float]] | None:
    """Run mutants side by side, and tell how each ended; None in a child."""
    waiting, running = list(numbers), list[_Child]()
    ended: dict[int, tuple[str, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            number = waiting.pop(0)
            pid = os.fork()
            if not pid:
                _become(number, folder / str(number), cpu_s)
                return None
            running.append(_Child(number=number, pid=pid, began=time.monotonic()))
        for child in list(running):
            how = _ended(child, 4 * cpu_s + 20)
            if how:
                ended[child.number] = how
                running.remove(child)
        time.sleep(0.005)
    return ended


def serve(asked: Mapping[str, Any]) -> None:
    """Run the original, then all mutants; returns in their processes only."""
    folder = Path(asked["folder"])
    first = _watch([0], folder=folder, jobs=1, cpu_s=FIRST_S)
    if first is None:
        return
    cpu_s = SLOWER * first[0][1] + SLACK_S
    others = _watch(asked["numbers"], folder=folder, jobs=asked["jobs"], cpu_s=cpu_s)
    if others is None:
        return
    (folder / "ended.new").write_text(json.dumps(first | others))
    (folder / "ended.new").replace(folder / "ended.json")
    # Past the simulator, which would begin, and past whatever it does at its end.
    os._exit(0)


if ASKED in os.environ:
    serve(json.loads(os.environ[ASKED]))

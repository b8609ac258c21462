"""Programs that are ended by a signal at a random moment, in a process group of their own."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.environment import REPOSITORY


def start(script: str, *arguments: str, cache: Path, limit: str = "") -> subprocess.Popen[str]:
    """Start a Python script; it prints a line when it is about to do what is interrupted.

    Parameters
    ----------
    cache : of everything it builds
    limit : shell commands that run before it, such as ``ulimit -f 64``
    """
    environment = os.environ | {
        "MICRODUET_CACHE": str(cache),
        "PYTHONPATH": os.pathsep.join([*sys.path, str(REPOSITORY)]),
    }
    command = [sys.executable, "-c", script, *arguments]
    if limit:
        command = ["sh", "-c", f'{limit} && exec "$@"', "sh", *command]
    return subprocess.Popen(
        command,
        env=environment,
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def interrupt(process: subprocess.Popen[str], number: signal.Signals, *, after: float) -> tuple[int, str]:
    """Send a signal to the whole group, so many seconds after the script's line; exit status and standard error."""
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def moments(count: int, *, longest: float, seed: int) -> list[float]:
    """Random times in seconds, spread evenly over `longest`, printed with their seed."""
    rng = random.Random(seed)
    times = [(k + rng.random()) * longest / count for k in range(count)]
    print(f"seed {seed}: {[round(t, 3) for t in times]}")
    return times


def files(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

"""Sweeps that are killed, whose workers die, whose points fail, whose disk is full."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from microduet.errors import InputError
from microduet.sweep import config, results
from microduet.sweep.run import Ran, run
from tests.support.environment import REPOSITORY
from tests.sw.sweep import evaluations
from tests.sw.sweep.conftest import local


def _run(path, evaluate, *, retries=1):
    sweep = config.read(path)
    with results.opened(sweep.output) as kept, local(evaluate) as pool:
        return run(sweep.points, kept, pool=pool, retries=retries), kept.rows


def test_goes_on_after_a_kill_without_repeating_a_finished_point(eight):
    command = [sys.executable, "-m", "tests.sw.sweep.sweep_process", str(eight)]
    output = eight.with_name("out.parquet")
    with subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True) as process:
        end = time.monotonic() + 60
        while len(results.read(output)) < 3 and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    finished = {str(row.point.multipliers) for row in results.read(output).values()}
    assert 3 <= len(finished) < 8
    before = evaluations.calls(eight.parent)
    ran, rows = _run(eight, evaluations.plain)
    again = evaluations.calls(eight.parent)[len(before) :]
    assert finished.isdisjoint(again)
    assert sorted(again) == sorted({str(size) for size in range(100, 108)} - finished)
    assert ran == Ran(done=8 - len(finished), failed=0, skipped=len(finished))
    assert all(row.done for row in rows.values())


@pytest.mark.parametrize("evaluate", [evaluations.fails_once, evaluations.dies_once])
def test_retries_a_point_that_failed_once(eight, evaluate):
    ran, rows = _run(eight, evaluate)
    assert ran == Ran(done=8, failed=0, skipped=0)
    assert {row.point.multipliers: row.attempts for row in rows.values()} == dict.fromkeys(range(100, 108), 1) | {
        102: 2
    }
    assert sorted(evaluations.calls(eight.parent)) == [str(size) for size in range(100, 108)]


@pytest.mark.parametrize(
    ("evaluate", "cause"),
    [(evaluations.fails, "never"), (evaluations.dies, "the worker died: killed by signal 9")],
)
def test_records_a_failure_and_tries_it_again_in_the_next_run_only(eight, evaluate, cause):
    ran, _ = _run(eight, evaluate)
    assert ran == Ran(done=7, failed=1, skipped=0)
    (failed,) = [row for row in results.read(eight.with_name("out.parquet")).values() if not row.done]
    assert (failed.point.multipliers, failed.outcome.cause, failed.attempts) == (102, cause, 2)
    ran, rows = _run(eight, evaluations.plain)
    assert ran == Ran(done=1, failed=0, skipped=7)
    assert rows[failed.point.key].attempts == 3


def test_points_of_other_code_are_measured_again(eight, monkeypatch):
    _run(eight, evaluations.plain)
    monkeypatch.setattr("microduet.sweep.run.code_digest", lambda: "other")
    ran, rows = _run(eight, evaluations.plain)
    assert ran == Ran(done=8, failed=0, skipped=0)
    assert {(row.code, row.attempts) for row in rows.values()} == {("other", 1)}


def test_full_disk_keeps_what_was_finished(eight, monkeypatch):
    synced, count = os.fsync, 0

    def full(descriptor):
        nonlocal count
        count += 1
        if count > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match=r"out\.parquet: cannot be written: No space left .* 3 finished points"):
        _run(eight, evaluations.plain)
    assert sum(row.done for row in results.read(eight.with_name("out.parquet")).values()) == 3
    assert sorted(file.suffix for file in eight.parent.iterdir()) == ["", ".lock", ".parquet", ".toml"]
    monkeypatch.undo()
    monkeypatch.setenv("SWEEP_CALLS", str(eight.parent))
    assert _run(eight, evaluations.plain)[0] == Ran(done=5, failed=0, skipped=3)

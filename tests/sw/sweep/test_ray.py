"""A local Ray of two workers: one that the sweep starts, and one that runs already."""

import os
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from microduet import ray_cluster
from microduet.errors import InputError
from microduet.sweep import config, results
from microduet.sweep.point import Outcome
from microduet.sweep.ray_pool import RayPool
from microduet.sweep.run import Ran, run
from microduet.sweep.worker import evaluate
from tests.support.environment import REPOSITORY, alone
from tests.sw.sweep import evaluations
from tests.sw.sweep.conftest import local

RAY = Path(sys.executable).with_name("ray")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Ray's workers import what this process does; a cluster is as much as two processors bear."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), *filter(None, sys.path)]))
    with alone("ray"):
        yield


@pytest.fixture
def cluster(importable, eight) -> Iterator[str]:
    """Address of a cluster of two processors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [RAY, "start", "--head", "--block", "--disable-usage-stats", "--include-dashboard", "false"]
    command += ["--num-cpus", "2", "--node-ip-address", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            _wait_for(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(3)  # until the node has joined its own head
                return
        time.sleep(0.1)
    pytest.fail("Ray does not start")


def _run(path, pool, output) -> tuple[Ran, dict[object, Outcome]]:
    sweep = config.read(path)
    try:
        with results.opened(path.with_name(output)) as kept:
            ran = run(sweep.points, kept, pool=pool, retries=1)
            return ran, {row.point: _untimed(row.outcome) for row in kept.rows.values()}
    finally:
        pool.close()


def _untimed(outcome: Outcome) -> Outcome:
    if outcome.figures is None:
        return outcome
    return Outcome(figures=msgspec.structs.replace(outcome.figures, seconds=0.0))


@pytest.mark.nightly
def test_two_workers_give_what_local_ones_give(eight):
    eight.write_text(eight.read_text().replace("from = 100, to = 107", "from = 1920, to = 4608, step = 896"))
    with local(evaluate) as pool:
        expected = _run(eight, pool, "local.parquet")
    pool = RayPool(workers=2, address=None)
    assert pool.workers == 2
    assert _run(eight, pool, "ray.parquet") == expected
    assert all(outcome.figures for outcome in expected[1].values())


def test_a_worker_of_a_running_cluster_that_dies_costs_its_attempt_only(eight, cluster):
    pool = RayPool(workers=None, address=cluster, evaluate=evaluations.dies_once)
    assert pool.workers == 2
    ran, outcomes = _run(eight, pool, "out.parquet")
    assert ran == Ran(done=8, failed=0, skipped=0)
    assert all(outcome.figures for outcome in outcomes.values())
    assert sorted(evaluations.calls(eight.parent)) == [str(size) for size in range(100, 108)]


@pytest.mark.parametrize(
    ("address", "token", "shown"),
    [("head:6379", True, "token"), ("head:6379", False, None), (None, True, None)],
    ids=["a running cluster", "a user without a token", "a cluster of its own"],
)
def test_the_users_token_is_shown_to_a_running_cluster(monkeypatch, tmp_path, address, token, shown):
    """Ray itself does so for clusters that it starts only."""
    said = []
    fake = types.SimpleNamespace(
        is_initialized=lambda: False, init=lambda **_: said.append(os.environ.get("RAY_AUTH_MODE"))
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(ray_cluster, "_reach", lambda _: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that what is set in between is taken back
        monkeypatch.delenv(name)
    if token:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    ray_cluster.connect(address, missing="")
    assert said == [shown]


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'microduet\[ray\]'"):
        RayPool(workers=1, address=None)

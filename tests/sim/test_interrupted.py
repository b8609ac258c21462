"""Builds that are killed, interrupted, out of disk or tampered with: nothing half-written is ever taken for whole."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from microduet_sim.build import build
from microduet_sim.cache import SEAL, CacheError, publish
from microduet_sim.simulator import Simulator
from tests.sim.engines import echo_config, echo_logits, echo_packets, echo_table, echo_verilog
from tests.support.interruptions import interrupt, moments, start

FILES = 200

MAKE = f"""
from microduet_sim.cache import publish
def make(folder):
    for number in range({FILES}):
        (folder / f"{{number}}").write_text(str(number) * 300)
print("begins", flush=True)
publish("things", "key", make)
"""

BUILD = """
from microduet_sim.build import build
from tests.sim.engines import echo_config, echo_verilog
print("begins", flush=True)
try:
    build(echo_config(), echo_verilog())
except Exception as error:
    raise SystemExit(str(error))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(kind: Path) -> list[str]:
    return sorted(path.name for path in kind.glob("*") if path.suffix != ".lock")


def make(folder: Path) -> None:
    for number in range(FILES):
        (folder / f"{number}").write_text(str(number) * 300)


def check_killed(cache: Path, *, count: int, seed: int) -> int:
    """Kill makers of one entry at random moments, then make it; how many had not finished."""
    killed = 0
    for after in moments(count, longest=0.03, seed=seed):
        interrupt(start(MAKE, cache=cache), signal.SIGKILL, after=after)
        folder, there = publish("things", "key", make)
        assert len(list(folder.iterdir())) == FILES + 1
        assert all((folder / f"{number}").read_text() == str(number) * 300 for number in range(FILES))
        assert entries(cache / "things") == ["key"], "what the killed one left is gone"
        killed += not there
        for path in (*folder.iterdir(), folder):
            path.rmdir() if path.is_dir() else path.unlink()
    return killed


def test_a_maker_that_is_killed_leaves_nothing_that_is_taken_for_whole(cache: Path) -> None:
    assert check_killed(cache, count=8, seed=1) > 0


@pytest.mark.nightly
def test_makers_that_are_killed_at_many_moments(cache: Path) -> None:
    assert check_killed(cache, count=300, seed=2) > 50


def check_build(cache: Path) -> None:
    """The echo engine is built and answers."""
    library = build(echo_config(), echo_verilog())
    assert entries(cache / "models") == [library.path.parent.name]
    with Simulator(echo_config(), library, tables=[echo_table()], memory="simple") as simulator:
        assert simulator.run(echo_packets([3, 5])).logit.tolist() == echo_logits([3, 5]).tolist()


def check_interrupted(cache: Path, number: signal.Signals, *, count: int, longest: float, seed: int) -> None:
    for after in moments(count, longest=longest, seed=seed):
        status, said = interrupt(start(BUILD, cache=cache), number, after=after)
        assert status in (0, -number), said
        if number is signal.SIGINT and status:
            assert entries(cache / "models") == [], "an interrupted build cleans up after itself"
    check_build(cache)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_is_ended_by_a_signal_is_built_again(cache: Path, number: signal.Signals) -> None:
    check_interrupted(cache, number, count=1, longest=2.0, seed=3)


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_builds_that_are_ended_at_many_moments(cache: Path, number: signal.Signals) -> None:
    check_interrupted(cache, number, count=25, longest=12.0, seed=4)


@pytest.mark.parametrize("blocks", [2, 200])
def test_a_build_without_room_is_one_line_and_leaves_nothing(cache: Path, blocks: int) -> None:
    """Files may have so many blocks of 512 bytes: sources do not fit, or what the compilers write."""
    process = start(BUILD, cache=cache, limit=f"ulimit -f {blocks}")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert said.count("\n") == 1, said
    assert entries(cache / "models") == []


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


POISON: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: edit(folder / "7"), "7"),
    (lambda folder: (folder / "7").write_bytes(b""), "7"),
    (lambda folder: (folder / "7").unlink(), "7"),
    (lambda folder: (folder / "more.so").write_bytes(b"\x7fELF"), "more.so"),
    (lambda folder: (folder / SEAL).write_text("{"), SEAL),
    (lambda folder: (folder / SEAL).write_text("[]"), SEAL),
    (lambda folder: edit(folder / SEAL), SEAL),
]


@pytest.mark.parametrize(("poison", "name"), POISON, ids=range(len(POISON)))
def test_an_entry_that_was_changed_is_named_and_not_used(
    cache: Path, poison: Callable[[Path], object], name: str
) -> None:
    folder, _ = publish("things", "key", make)
    poison(folder)
    with pytest.raises(CacheError, match=rf"key/{name}: is not what was built; remove .*/things/key$"):
        publish("things", "key", make)


def test_an_entry_without_its_seal_is_made_again(cache: Path) -> None:
    folder, _ = publish("things", "key", make)
    (folder / SEAL).unlink()
    (folder / "7").unlink()
    assert publish("things", "key", make) == (folder, False)
    assert len(json.loads((folder / SEAL).read_text())) == FILES


def test_a_simulator_that_was_changed_is_not_run(cache: Path) -> None:
    path = build(echo_config(), echo_verilog()).path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CacheError, match=r"model\.so: is not what was built"):
        build(echo_config(), echo_verilog())

"""The build cache: hits, two processes at once, and failures that leave nothing behind."""

import multiprocessing
from pathlib import Path

import pytest

from microduet_sim import build as build_module
from microduet_sim import cache
from microduet_sim.build import build, joined
from microduet_sim.cache import CacheError, cache_folder, publish
from microduet_sim.compiler import BuildError, Unit, compile_library
from tests.sim.engines import echo_config, echo_verilog


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))


def leftovers() -> list[str]:
    return sorted(path.name for path in (cache_folder() / "models").iterdir() if path.suffix != ".lock")


def test_builds_once_and_reports_its_steps() -> None:
    steps: list[tuple[int, int, str]] = []
    first = build(echo_config(), echo_verilog(), progress=lambda *step: steps.append(step))
    again = build(echo_config(), echo_verilog())
    assert (first.cached, again.cached) == (False, True)
    assert first.path == again.path
    assert steps[-1][0] + 1 == steps[-1][1]
    assert leftovers() == [first.path.parent.name]
    assert again.seconds < first.seconds


def test_key_follows_verilog_and_options() -> None:
    paths = [build(echo_config(), echo_verilog()).path]
    changed = {name: f"// changed\n{text}" for name, text in echo_verilog().items()}
    paths.append(build(echo_config(), changed).path)
    paths.append(build(echo_config(), echo_verilog(), structure="flat").path)
    assert len(set(paths)) == 3


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([600, 300, 100, 1], [[0, 1, 2], [3]]),
        ([1_001, 999, 1], [[0], [1, 2]]),
    ],
)
def test_small_files_are_compiled_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], groups: list[list[int]]
) -> None:
    monkeypatch.setattr(build_module, "JOINED", 1_000)
    files = [tmp_path / f"{number}.cpp" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        file.write_text("/" * size)
    units = joined(files, tmp_path / "fast", cold=True)
    texts = ["".join(f'#include "{files[number]}"\n' for number in group) for group in groups]
    assert [(unit.source.name, unit.source.read_text(), unit.cold) for unit in units] == [
        (f"fast_{number}.cpp", text, True) for number, text in enumerate(texts)
    ]


def test_bad_verilog_is_one_line_and_leaves_nothing() -> None:
    broken = {name: text.replace("endmodule", "") for name, text in echo_verilog().items()}
    with pytest.raises(BuildError, match=r"^Verilator refuses engine_core.v: .*engine_core.v") as raised:
        build(echo_config(), broken)
    assert "\n" not in str(raised.value)
    assert leftovers() == []


def test_verilog_without_a_port_is_a_compiler_failure_that_names_it() -> None:
    renamed = {name: text.replace("probe_vector", "probe") for name, text in echo_verilog().items()}
    with pytest.raises(BuildError, match=r"C\+\+ compiler fails: .*probe_vector"):
        build(echo_config(), renamed)
    assert leftovers() == []


def test_compiler_failure_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "bad.cpp"
    source.write_text("int main( { }\n")
    with pytest.raises(BuildError, match=r"bad\.cpp:1") as raised:
        compile_library([Unit(source=source)], tmp_path / "bad.so", folder=tmp_path, flags=[])
    assert "\n" not in str(raised.value)


def write_marker(key: str, done: str) -> None:
    def make(folder: Path) -> None:
        (folder / "value").write_text("made")
        with Path(done).open("a") as count:
            count.write("x")

    for _ in range(50):
        publish("things", key, make)


def test_two_processes_make_a_thing_once(tmp_path: Path) -> None:
    done = tmp_path / "done"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_marker, args=("key", str(done))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert done.read_text() == "x"


def test_failing_maker_leaves_nothing() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        publish("models", "key", fail)
    assert leftovers() == []


def test_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(CacheError, match=r"disk is full.*MICRODUET_CACHE"):
        publish("models", "key", fill)
    assert leftovers() == []


def test_unwritable_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("MICRODUET_CACHE", str(blocked))
    with pytest.raises(CacheError, match="cannot build in"):
        publish("models", "key", lambda folder: None)


def test_folder_without_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MICRODUET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.cache_folder() == Path("/somewhere/microduet")

"""Libraries of C++ files alone."""

import ctypes
from pathlib import Path

import pytest

from microduet_sim.compiler import BuildError
from microduet_sim.library import shared_library

SOURCE = '#include "answer.h"\nextern "C" __attribute__((visibility("default"))) int answer() { return ANSWER; }\n'


def written(folder: Path, answer: str) -> tuple[Path, Path]:
    unit, header = folder / "unit.cpp", folder / "answer.h"
    unit.write_text(SOURCE)
    header.write_text(f"#define ANSWER {answer}\n")
    return unit, header


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_is_built_again_only_if_a_file_changes(tmp_path: Path) -> None:
    found = []
    for answer in ("41", "41", "42"):
        unit, header = written(tmp_path, answer)
        path = shared_library("answers", [unit], inputs=[header], folders=[tmp_path])
        found.append((path, path.stat().st_mtime_ns))
        assert ctypes.CDLL(str(path)).answer() == int(answer)
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]


def test_names_what_the_compiler_refuses_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    unit, header = written(tmp_path, "nothing")
    with pytest.raises(BuildError, match=r"the C\+\+ compiler fails: .*nothing") as raised:
        shared_library("answers", [unit], inputs=[header], folders=[tmp_path])
    assert "\n" not in str(raised.value)
    assert not list(cache.glob("answers/*/"))

"""Logs that cannot be learnt or judged are refused before the first step."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from microduet.data.schema import PARTS, Chunk, Part
from microduet.errors import TrainingError
from microduet.train.usable import check_parts
from tests.sw.command_line import run
from tests.sw.data.sets import SETS
from tests.sw.duet.test_shape import SMALL
from tests.sw.train.logs import Log, small_log

ALL = dict.fromkeys(PARTS, 10_000)


class Labelled(Log):
    """A log whose labels are given."""

    labels: np.ndarray

    def whole(self, part: Part) -> Chunk:
        chunk = super().whole(part)
        return Chunk(labels=self.labels[: len(chunk)], sparse=chunk.sparse, dense=chunk.dense)


def labelled(labels: np.ndarray) -> Labelled:
    log = Labelled(small_log().schema, dict.fromkeys(PARTS, len(labels)))
    log.labels = labels
    return log


def test_takes_a_log_with_both_labels_in_every_part() -> None:
    check_parts(small_log(train=50, validation=50, test=50), **ALL)


@pytest.mark.parametrize("place", [0, 1023, 1024, 2999])
def test_looks_at_rows_until_both_labels_were_seen(place: int) -> None:
    labels = np.zeros(3000, np.uint8)
    labels[place] = 1
    check_parts(labelled(labels), **ALL)


@pytest.mark.parametrize("label", [0, 1])
def test_refuses_labels_of_one_class(label: int) -> None:
    message = f"log: the labels of its train part must be both 0 and 1, but all 3,000 are {label}"
    with pytest.raises(TrainingError, match=message):
        check_parts(labelled(np.full(3000, label, np.uint8)), **ALL)


def test_looks_only_at_the_rows_that_are_used() -> None:
    labels = np.zeros(3000, np.uint8)
    labels[2000] = 1
    with pytest.raises(TrainingError, match=r"validation part .* all 1,500 are 0"):
        check_parts(labelled(labels), train=3000, validation=1500, test=3000)


@pytest.mark.parametrize("part", PARTS)
def test_refuses_a_part_without_rows(part: Part) -> None:
    log = small_log(train=50, validation=50, test=50)
    log.counts[part] = 0
    with pytest.raises(TrainingError, match=f"log: its {part} part has no rows"):
        check_parts(log, **ALL)


@pytest.fixture
def criteo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "small.json").write_bytes(SMALL.to_json())
    SETS[0].write(tmp_path)
    return tmp_path


def test_the_command_refuses_labels_of_one_class(criteo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SETS[0].rewrite(criteo, "".join("0" + line[1:] for line in SETS[0].text(criteo).splitlines(keepends=True)))
    assert run("train", criteo / "small.json", "--data", criteo) == 2
    assert "criteo: the labels of its train part must be both 0 and 1, but all 259 are 0\n" in capsys.readouterr().err


def test_the_command_refuses_ids_that_no_table_has(criteo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--seeds", 1, "--replicates", 20, "--split", "none")
    assert run("train", criteo / "small.json", "--data", criteo, *few) == 0
    [index] = criteo.glob("cache/data/criteo-*/index-categories-0.parquet")
    pq.write_table(pa.table({"values": pq.read_table(index)["values"][:3]}), index)
    capsys.readouterr()
    assert run("train", criteo / "small.json", "--data", criteo, *few) == 2
    error = capsys.readouterr().err
    assert f"{index.parent}: a value is not in its index; remove the folder\n" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--hash-rows", 0), "tables must have at least 1 row, not 0"),
        (("--hash-rows", -5), "tables must have at least 1 row, not -5"),
        (("--data", "generated", "--hash-rows", 5), "generated: ids are hashed and bad lines skipped in data sets"),
        (("--data", "generated:90", "--skip-bad"), "generated:90: ids are hashed and bad lines skipped in data sets"),
        (("--rows", 260), "criteo: 260 rows are wanted, but there are 259"),
    ],
)
def test_the_command_refuses_options(
    criteo: Path, capsys: pytest.CaptureFixture[str], arguments: tuple, message: str
) -> None:
    data = () if "--data" in arguments else ("--data", criteo)
    assert run("train", criteo / "small.json", *data, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1

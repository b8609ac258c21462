"""``microduet bench cpu``: which tables fit, what is printed, what is refused."""

import json
import platform
from pathlib import Path

import pytest

from microduet.cli import app
from microduet.cpu.bench import cpu_name, fitted, free_bytes, microrec_shape
from microduet.cpu.tables import table_bytes
from microduet.errors import InputError, MicroduetError


@pytest.mark.parametrize(("name", "gigabytes"), [("microrec-small", 1.4147), ("microrec-large", 15.107)])
def test_tables_have_the_papers_size(name: str, gigabytes: float) -> None:
    shape = microrec_shape(name)
    assert table_bytes(shape, range(len(shape.features))) == pytest.approx(gigabytes * 1e9, rel=1e-3)


def test_the_largest_tables_are_cut_until_all_fit() -> None:
    shape = microrec_shape("microrec-large")
    features = range(len(shape.features))
    cut = fitted(shape, 1e9)
    assert 0.5e9 < table_bytes(cut, features) <= 1e9
    assert cut.tables[:40] == shape.tables[:40]  # small ones are left alone
    assert fitted(shape, 16e9) == shape


def test_tables_that_cannot_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"microrec-small: its tables do not fit 0\.000 GB"):
        fitted(microrec_shape("microrec-small"), 100)


def test_memory_is_read() -> None:
    assert free_bytes() > 1 << 28


def test_a_virtual_processor_is_told_by_its_family_and_instructions(tmp_path: Path) -> None:
    information = tmp_path / "cpuinfo"
    information.write_text(
        "model name\t: AMD EPYC\ncpu family\t: 26\nmodel\t\t: 2\nflags\t\t: sse avx2 avx512f avx512_bf16\n"
    )
    assert cpu_name(information) == "AMD EPYC, family 26, model 2, avx2, avx512_bf16, avx512f"


def test_a_processor_without_a_name_is_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert cpu_name(tmp_path / "cpuinfo") == platform.machine()
    assert cpu_name(tmp_path / "missing")


def test_json_has_every_variant_of_every_batch(capsys: pytest.CaptureFixture[str]) -> None:
    app(
        ["bench", "cpu", "--batches", "4", "--table-gb", "0.001", "--no-compiled", "--json"],
        result_action="return_value",
    )
    found = json.loads(capsys.readouterr().out)
    (row,) = found["rows"]
    assert (row["batch"], row["paper_ms"], found["model"]) == (4, None, "microrec-small")
    assert row["variant"] in {one["variant"] for one in row["grid"]}
    assert found["table_bytes"] < 0.001e9 < found["whole_table_bytes"]
    assert found["cpu"]


def test_refuses_batches_of_nothing() -> None:
    from microduet.cpu.bench import CpuBenchOptions, main

    with pytest.raises(MicroduetError, match="batches must be at least 1"):
        main(CpuBenchOptions(batches=(0,)))

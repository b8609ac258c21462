"""Damaged bundles, with their hashes as they were or made to fit: refused by name, or whole; nothing is executed."""

import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microduet.bundle import Bundle
from microduet.bundle_files import file_digest
from microduet.edge.bundle import EdgeBundle
from microduet.errors import BundleError
from microduet.images import table_images
from microduet_hw.config import EngineConfig
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.image import load_beats
from microduet_sim.tables import check_images
from tests.support.damage import damaged, refused_at_worst
from tests.sw.edge.units import bundle as edge_bundle
from tests.sw.fuzz.parsers import mixed, wide

QUICK, MANY = 60, 5000


def use_engine(path: Path) -> None:
    """Read a bundle and all that opening a device takes from it before anything is built."""
    bundle = Bundle.read(path)
    check_images(bundle.config, table_images(bundle))
    load_beats(bundle.config, bundle.engine_model, bundle.rows, bundle.user)


KINDS: dict[str, tuple[Callable[[], Path], Callable[[Path], object], type]] = {
    "engine": (lambda: mixed().path, use_engine, EngineConfig),
    "edge": (lambda: edge_bundle().path, EdgeBundle.read, EdgeConfig),
}


@functools.cache
def contents(kind: str) -> dict[str, bytes]:
    path = KINDS[kind][0]()
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def make_fit(path: Path, config: type) -> None:
    """Write the hashes of the files as they are into the manifest, as an attacker would."""
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        manifest["files"] = {name: file_digest(path / name) for name in manifest["files"]}
        manifest["config_digest"] = config.from_json((path / "config.json").read_bytes()).digest
        (path / "manifest.json").write_text(json.dumps(manifest))
    except Exception:  # what is no manifest or no configuration any more is given as it is
        return


@st.composite
def damage(draw: st.DrawFn, kind: str) -> tuple[str, bytes, bool]:
    files = contents(kind)
    name = draw(st.sampled_from(sorted(files)))
    return name, draw(damaged(files[name], json_too=name.endswith(".json"))), draw(st.booleans())


def check(kind: str, name: str, data: bytes, fit: bool) -> None:
    _, use, config = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="microduet-fuzz-") as folder:
        path = Path(folder) / "b"
        for file, whole in contents(kind).items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(data if file == name else whole)
        if fit:
            make_fit(path, config)
        with refused_at_worst():
            use(path)


def fuzz(kind: str, cases: int, *, repeat: bool) -> None:
    KINDS[kind][1](KINDS[kind][0]())

    @settings(max_examples=cases, deadline=None, derandomize=repeat, suppress_health_check=list(HealthCheck))
    @given(case=damage(kind))
    def reads_or_refuses(case: tuple[str, bytes, bool]) -> None:
        check(kind, *case)

    reads_or_refuses()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_bundle_is_read_or_refused(kind: str) -> None:
    fuzz(kind, QUICK, repeat=True)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_bundles(kind: str) -> None:
    fuzz(kind, MANY, repeat=False)


def test_an_array_that_claims_more_than_its_file_holds_takes_no_memory(tmp_path: Path) -> None:
    path = shutil.copytree(mixed().path, tmp_path / "b")
    table = next((path / "tables").iterdir())
    header = {"descr": "<i2", "fortran_order": False, "shape": (1 << 40, 4)}
    with table.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    make_fit(path, EngineConfig)
    with pytest.raises(BundleError, match=r"npy: cannot be read: an array \(1099511627776, 4\) of int16 has"):
        Bundle.read(path)


@pytest.mark.parametrize("file", ["config.json", "plan.json", "weights.npz"])
def test_a_file_of_another_bundle_is_named(tmp_path: Path, file: str) -> None:
    """Whole, and with hashes that fit, but of another model."""
    path = shutil.copytree(mixed().path, tmp_path / "b")
    shutil.copy(wide().path / file, path / file)
    make_fit(path, EngineConfig)
    with pytest.raises(BundleError, match=r"plan\.json: |weights\.npz: |manifest\.json: "):
        use_engine(path)

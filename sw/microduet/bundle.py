"""A compiled model on disk: configuration, plan, integers and hashes. Reading one executes nothing."""

import contextlib
import dataclasses
import functools
import hashlib
import shutil
import tempfile
import typing
import zipfile
from collections.abc import Generator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from microduet.boards import Board
from microduet.errors import BundleError
from microduet.generated import GeneratedTable
from microduet.layer_file import LayerRecord, read_layers
from microduet.packets import pack_items
from microduet.placement import Plan
from microduet.planner.physical import factors, physical_ids, vector_order
from microduet.quantisation import InputQuantisation
from microduet.shape import ModelShape
from microduet_hw.config import EngineConfig, Frozen
from microduet_hw.quantised import QuantisedModel

if typing.TYPE_CHECKING:
    from microduet.golden import Golden

FORMAT = 2
MANIFEST, CONFIG, PLAN, WEIGHTS = "manifest.json", "config.json", "plan.json", "weights.npz"

QuantisedTable = GeneratedTable | npt.NDArray[np.integer]


class TableRecord(Frozen, frozen=True, kw_only=True):
    """Where a feature's rows come from: a rule, or a file of quantised rows."""

    generated: GeneratedTable | None = None
    file: str | None = None


class Manifest(Frozen, frozen=True, kw_only=True):
    """The bundle's own description, its board's too; `files` has the SHA-256 of every other file."""

    format: int = FORMAT
    name: str
    model: str
    board: Board
    input: InputQuantisation
    layers: tuple[LayerRecord, ...]
    logit_fraction: int
    tables: tuple[TableRecord, ...]
    products: ModelShape | None = None
    """The model as its user knows it, where the plan joins tables; None if it joins none."""
    config_digest: str
    files: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bundle:
    """A compiled model, read from `path`.

    Members
    -------
    config, plan : of the engine
    manifest : scales, table rules, hashes
    model : quantised weights, the first layer's in the order of the model's own vector
    tables : per feature of the model a rule, or quantised rows (rows, dim) mapped from a file
    """

    path: Path
    config: EngineConfig
    plan: Plan
    manifest: Manifest
    model: QuantisedModel
    tables: tuple[QuantisedTable, ...]

    @property
    def input(self) -> InputQuantisation:
        """Scale of tables and dense features."""
        return self.manifest.input

    @functools.cached_property
    def shape(self) -> ModelShape:
        """The model as its user knows it: what ids and dense features are checked against."""
        return self.manifest.products or ModelShape.of(self.config, name=self.manifest.model)

    @functools.cached_property
    def vector_order(self) -> npt.NDArray[np.int64]:
        """For every element of the engine's vector, its position in the model's."""
        return vector_order(self.shape, self.plan.products)

    @functools.cached_property
    def engine_model(self) -> QuantisedModel:
        """Quantised weights, the first layer's in the order of the engine's vector."""
        if not self.plan.products:
            return self.model
        first, *others = self.model.layers
        permuted = dataclasses.replace(first, weights=np.ascontiguousarray(first.weights[:, self.vector_order]))
        return dataclasses.replace(self.model, layers=(permuted, *others))

    @functools.cached_property
    def factors(self) -> tuple[tuple[int, ...], ...]:
        """Per physical table, the features whose rows it holds."""
        return factors(self.shape, self.plan.products)

    def packets(
        self,
        sparse: npt.NDArray[np.int64],
        dense: npt.NDArray[np.float32] | None = None,
        *,
        tags: npt.NDArray[np.integer] | None = None,
    ) -> npt.NDArray[np.uint32]:
        """Item packets of checked ids and dense features, as `pack_items`."""
        return pack_items(
            self.config,
            sparse=self.table_ids(sparse),
            dense=None if dense is None else self.dense(dense),
            tags=tags,
        )

    def table_ids(self, sparse: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Ids of physical tables for the model's ids."""
        return physical_ids(self.shape, self.plan.products, sparse)

    def rows(self, table: int, first: int, count: int) -> npt.NDArray[np.int64]:
        """Quantised rows first .. first + count - 1 of a physical table: int64 (count, dim)."""
        numbers = np.arange(first, first + count)
        pieces: list[npt.NDArray[np.int64]] = []
        for feature in reversed(self.factors[table]):
            rows = self.shape.features[feature].rows
            pieces.append(self._feature_rows(feature, numbers % rows))
            numbers = numbers // rows
        return np.concatenate(pieces[::-1], axis=1)

    def _feature_rows(self, feature: int, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        table = self.tables[feature]
        if isinstance(table, GeneratedTable):
            return self.input.generated(table, numbers)
        return np.asarray(table[numbers]).astype(np.int64)

    def dense(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Quantised dense features: int64 of the same shape."""
        return self.input.integers(values)

    def golden(self) -> "Golden":
        """The golden model of this bundle; imports torch."""
        from microduet.golden import Golden

        return Golden(config=self.config, model=self.model, input=self.input, tables=self.tables, features=self.shape)

    @classmethod
    def read(cls, path: Path | str, *, verify: bool = True) -> "Bundle":
        """Read the bundle at `path`.

        Parameters
        ----------
        verify : compare the hash of every file

        Raises
        ------
        BundleError
            If a file is missing, damaged or of another format: names it.
        """
        path = Path(path)
        manifest = decode(path / MANIFEST, Manifest)
        if manifest.format != FORMAT:
            raise BundleError(f"{path / MANIFEST}: bundle format must be {FORMAT}, not {manifest.format}")
        for name, expected in sorted(manifest.files.items()):
            check_file(path, name, expected, verify=verify)
        config = decode(path / CONFIG, EngineConfig)
        if config.digest != manifest.config_digest:
            raise BundleError(f"{path / CONFIG}: is not the configuration of this bundle")
        return cls(
            path=path,
            config=config,
            plan=decode(path / PLAN, Plan),
            manifest=manifest,
            model=_read_model(path / WEIGHTS, manifest),
            tables=tuple(_read_table(path, record, manifest) for record in manifest.tables),
        )


T = typing.TypeVar("T")


def decode(path: Path, kind: type[T]) -> T:
    """What the JSON file `path` says, as a `kind`; raises BundleError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise BundleError(f"{path}: no such file: not a bundle, or an incomplete one") from error
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error


def check_file(path: Path, name: str, expected: str, *, verify: bool) -> None:
    """Raise BundleError unless file `name` of the bundle `path` is there, and has the SHA-256 `expected`."""
    if Path(name).name != name and Path(name).parent != Path("tables"):
        raise BundleError(f"{path / MANIFEST}: {name!r} lies outside the bundle")
    try:
        actual = file_digest(path / name) if verify else expected
    except OSError as error:
        raise BundleError(f"{path / name}: cannot be read: {error.strerror}") from error
    if actual != expected:
        raise BundleError(f"{path / name}: SHA-256 must be {expected[:16]}..., not {actual[:16]}...")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_model(path: Path, manifest: Manifest) -> QuantisedModel:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            layers = read_layers(arrays, manifest.layers)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    return QuantisedModel(layers=layers, logit_fraction=manifest.logit_fraction)


def _read_table(path: Path, record: TableRecord, manifest: Manifest) -> QuantisedTable:
    if record.generated is not None:
        return record.generated
    if record.file is None or record.file not in manifest.files:
        raise BundleError(f"{path / MANIFEST}: a table has neither a rule nor a file of this bundle")
    try:
        return np.load(path / record.file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path / record.file}: cannot be read: {error}") from error


@contextlib.contextmanager
def writing(path: Path, *, keep: bool = False) -> Generator[Path]:
    """A temporary folder beside `path` that takes its name when all is written; removed if anything fails.

    Parameters
    ----------
    keep : what another process has put at `path` meanwhile stays
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(f"{path}: exists and is not a bundle; it is left alone")
    folder: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        yield folder
        folder.chmod(0o755)
        _take_place(folder, path, keep=keep)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _take_place(folder: Path, path: Path, *, keep: bool) -> None:
    if path.exists() and not keep:
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        path.replace(old / path.name)
        try:
            folder.replace(path)
        except OSError:
            (old / path.name).replace(path)
            raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
        return
    try:
        folder.replace(path)
    except OSError:
        if not (keep and path.exists()):  # another process was faster: its bundle has the same contents
            raise

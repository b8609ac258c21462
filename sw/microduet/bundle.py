"""A compiled model on disk: configuration, plan, integers and hashes. Reading one executes nothing."""

import dataclasses
import functools
import typing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.array_files import map_array, read_arrays
from microduet.boards import Board
from microduet.bundle_check import check_parts
from microduet.bundle_files import MANIFEST, PLAN, WEIGHTS, decode, read_described
from microduet.duet.exact_user import ExactUser
from microduet.errors import BundleError, InputError
from microduet.generated import GeneratedTable
from microduet.inputs import check_batch
from microduet.layer_file import LayerRecord, read_layers
from microduet.packets import pack_items
from microduet.placement import Plan
from microduet.planner.physical import factors, physical_ids, vector_order
from microduet.quantisation import InputQuantisation
from microduet.shape import ModelShape
from microduet.user_file import ExactRecord, UserRecord, read_exact, read_user
from microduet_hw.config import EngineConfig, Frozen
from microduet_hw.quantised import QuantisedLayer, QuantisedModel, UserWeights

if typing.TYPE_CHECKING:
    from microduet.golden import Golden

FORMAT = 3

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
    dense: InputQuantisation
    layers: tuple[LayerRecord, ...]
    logit_fraction: int
    tables: tuple[TableRecord, ...]
    user: UserRecord | None = None
    """What user vectors must be; None for an engine that takes none."""
    exact: ExactRecord | None = None
    """The device's side of an exact split."""
    user_tables: tuple[TableRecord, ...] = ()
    """Of its features."""
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
    user : what user vectors add to their layer's sums; None for an engine that takes none
    exact, user_tables : what a device computes of an exact split, and from which tables; None and () otherwise
    """

    path: Path
    config: EngineConfig
    plan: Plan
    manifest: Manifest
    model: QuantisedModel
    tables: tuple[QuantisedTable, ...]
    user: UserWeights | None = None
    exact: ExactUser | None = None
    user_tables: tuple[QuantisedTable, ...] = ()

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
        layers, number = list(self.model.layers), self.shape.bottom
        weights, order = layers[number].weights, self.vector_order
        if number:  # the dense inputs are read elsewhere; behind the features come a bottom MLP's outputs
            count = self.shape.feature_elements
            order = np.concatenate([order[:count], np.arange(count, weights.shape[1])])
        layers[number] = dataclasses.replace(layers[number], weights=np.ascontiguousarray(weights[:, order]))
        return dataclasses.replace(self.model, layers=tuple(layers))

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
        queries: npt.NDArray[np.uint32] | None = None,
    ) -> npt.NDArray[np.uint32]:
        """Item packets of checked ids and dense features, as `pack_items`."""
        return pack_items(
            self.config,
            sparse=self.table_ids(sparse),
            dense=None if dense is None else self.dense(dense),
            tags=tags,
            queries=queries,
        )

    def user_sums(
        self, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.int64]:
        """What devices of an exact split send: int64 (users, sums) of 32 bits.

        Parameters
        ----------
        sparse : int64 (users, the user features' lookups), -1 for an empty place of a history
        dense : float32 (users, D) in the model's columns, of a model with a bottom MLP

        Raises
        ------
        InputError
            If the bundle is of no exact split, or a shape or value does not fit.
        """
        from microduet.golden import VectorGolden

        exact, record = self.exact, self.manifest.exact
        if exact is None or record is None:
            raise InputError(f"{self.manifest.model}: only the engine of an exact split takes sums")
        sparse, dense = check_batch(record.shape, sparse, dense, empty=True)
        assembly = VectorGolden(record.shape, input=self.input, dense=exact.dense, tables=self.user_tables)
        vectors, count = assembly.vectors(sparse, dense), record.shape.feature_elements
        return exact.sums(vectors[:, :count], vectors[:, count:] if record.shape.dense else None)

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
        return self.manifest.dense.integers(values)

    def golden(self) -> "Golden":
        """The golden model of this bundle; imports torch."""
        from microduet.golden import Golden

        return Golden(
            config=self.config,
            model=self.model,
            input=self.input,
            tables=self.tables,
            features=self.shape,
            dense=self.manifest.dense,
            user=self.user,
        )

    @classmethod
    def read(cls, path: Path | str, *, verify: bool = True) -> "Bundle":
        """Read the bundle at `path`.

        Parameters
        ----------
        verify : compare the hash of every file

        Raises
        ------
        BundleError
            If a file is missing, damaged, of another format or of another bundle: names it.
        """
        path = Path(path)
        manifest, config = read_described(path, Manifest, EngineConfig, format=FORMAT, verify=verify)
        tables, user_tables = (
            tuple(_read_table(path, record, manifest) for record in records)
            for records in (manifest.tables, manifest.user_tables)
        )
        layers, user, exact = _read_weights(path / WEIGHTS, manifest, config)
        bundle = cls(
            path=path,
            config=config,
            plan=decode(path / PLAN, Plan),
            manifest=manifest,
            model=QuantisedModel(layers=layers, logit_fraction=manifest.logit_fraction),
            tables=tables,
            user=user,
            exact=exact,
            user_tables=user_tables,
        )
        check_parts(bundle)
        return bundle


def _read_weights(
    path: Path, manifest: Manifest, config: EngineConfig
) -> tuple[tuple[QuantisedLayer, ...], UserWeights | None, ExactUser | None]:
    try:
        arrays = read_arrays(path)
        layers = read_layers(arrays, manifest.layers)
        user = read_user(arrays, manifest.user, config, str(path))
        return layers, user, read_exact(arrays, manifest.exact, manifest.input)
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error


def _read_table(path: Path, record: TableRecord, manifest: Manifest) -> QuantisedTable:
    if record.generated is not None:
        return record.generated
    if record.file is None or record.file not in manifest.files:
        raise BundleError(f"{path / MANIFEST}: a table has neither a rule nor a file of this bundle")
    try:
        return typing.cast(npt.NDArray[np.integer], map_array(path / record.file))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path / record.file}: cannot be read: {error}") from error

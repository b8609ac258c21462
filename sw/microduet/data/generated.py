"""A click log without end of any shape, whose best possible AUC is known because its clicks' model is."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from microduet.data.click_model import ClickModel, ClickShares, sigmoid
from microduet.data.draws import draw, stream, uniforms
from microduet.data.schema import CHUNK_ROWS, Chunk, Column, DataSchema, DenseColumn, Part, Role, check_range
from microduet.data.world import Feature, Rows, Who, World
from microduet.duet.shape import DlrmShape
from microduet.errors import InputError

DEFAULT_ROWS = 1_000_000
TEST_ROWS = 1_000_000
ROWS_PER_USER = 100
ROW_LIMIT = 10**9

CALIBRATION_USERS = 100_000
"""Of the world that sets the scales of the click model, whatever the number of rows."""

_CELLS = 1 << 20
"""Sparse and dense elements that are drawn at a time."""

_BINS = 1 << 20


class GeneratedLog:
    """Rows of users who see items and click on some; each row is drawn from its number alone.

    Parts follow each other in time: `rows` of training, then validation, then test.

    Parameters
    ----------
    shape : the model whose inputs the columns are, in its order
    rows : of the training part, 1 to 10^9
    seed : of everything
    validation, test : rows of the other parts; validation is a tenth of `rows` if not given, but at least 10,000
    shares : of the click model

    Raises
    ------
    InputError
        If a number of rows is out of its range.
    """

    def __init__(
        self,
        shape: DlrmShape,
        *,
        rows: int = DEFAULT_ROWS,
        seed: int = 0,
        validation: int | None = None,
        test: int = TEST_ROWS,
        shares: ClickShares | None = None,
    ) -> None:
        validation = max(10_000, rows // 10) if validation is None else validation
        for name, number in (("rows", rows), ("validation", validation), ("test", test)):
            if not 1 <= number <= ROW_LIMIT:
                raise InputError(f"generated: {name} must be 1 to {ROW_LIMIT:,}, not {number!r}")
        self.shape = shape
        self._seed = seed
        self._parts = {"train": (0, rows), "validation": (rows, validation), "test": (rows + validation, test)}
        self._world = World(shape, seed=seed, users=max(64, rows // ROWS_PER_USER))
        self._model = ClickModel(self._world.of(CALIBRATION_USERS), seed=seed, shares=shares or ClickShares())
        self._schema = _schema(shape, self._world.features)

    @property
    def schema(self) -> DataSchema:
        """One column per feature and dense input of the shape, in its order."""
        return self._schema

    def rows(self, part: Part) -> int:
        """Rows of a part."""
        return self._parts[part][1]

    def chunks(
        self, part: Part, *, first: int = 0, count: int | None = None, size: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """As DataSet.chunks; takes memory for one chunk, and no time for the rows before it."""
        for start, length in self._ranges(part, first, count, size):
            chunk = Chunk(
                labels=np.empty(length, np.uint8),
                sparse=np.empty((length, self.shape.lookups), np.int64),
                dense=np.empty((length, self.shape.dense), np.float32),
            )
            for numbers in self._pieces(start, length):
                rows = self._world.rows(self._world.who(numbers))
                where = slice(int(numbers[0]) - start, int(numbers[-1]) + 1 - start)
                chunk.labels[where] = self._clicks(numbers, self._chances(rows))
                chunk.dense[where] = rows.dense
                self._world.sparse(rows, chunk.sparse[where])
            yield chunk

    def probabilities(self, part: Part, first: int = 0, count: int | None = None) -> npt.NDArray[np.float64]:
        """The true probability of a click in each of these rows, float64 (count,)."""
        found = [
            self._chances(self._world.rows(self._world.who(numbers)))
            for start, length in self._ranges(part, first, count, CHUNK_ROWS)
            for numbers in self._pieces(start, length)
        ]
        return np.concatenate(found) if found else np.zeros(0)

    def best_auc(self, part: Part, rows: int | None = None) -> float:
        """AUC of the true probabilities on the first `rows` rows of `part`: no model can expect a better one.

        Counted in 2^20 bins of the probability.

        Raises
        ------
        InputError
            If these rows are all clicked, or none is.
        """
        counts = np.zeros((2, _BINS), np.int64)
        for start, length in self._ranges(part, 0, rows, CHUNK_ROWS):
            for numbers in self._pieces(start, length):
                chances = self._chances(self._world.rows(self._world.who(numbers)))
                clicks = self._clicks(numbers, chances)
                bins = np.minimum((chances * _BINS).astype(np.int64), _BINS - 1)
                for label in (0, 1):
                    counts[label] += np.bincount(bins[clicks == label], minlength=_BINS)
        others, clicks = counts
        if not others.sum() or not clicks.sum():
            raise InputError(f"generated: the first {others.sum() + clicks.sum()} rows of {part} have labels of one "
                             "class only")  # fmt: skip
        below = np.cumsum(others) - others / 2
        return float((clicks * below).sum() / (clicks.sum() * others.sum()))

    def who(self, part: Part, first: int = 0, count: int | None = None) -> Who:
        """Users and candidates of these rows."""
        start, rows = self._parts[part]
        wanted = check_range(f"generated {part}", rows, first, count, 1)
        return self._world.who(np.arange(start + first, start + first + wanted))

    def _ranges(self, part: Part, first: int, count: int | None, size: int) -> Iterator[tuple[int, int]]:
        start, rows = self._parts[part]
        wanted = check_range(f"generated {part}", rows, first, count, size)
        for done in range(0, wanted, size):
            yield start + first + done, min(size, wanted - done)

    def _pieces(self, start: int, length: int) -> Iterator[npt.NDArray[np.int64]]:
        step = max(64, _CELLS // (self.shape.lookups + self.shape.dense))
        for first in range(start, start + length, step):
            yield np.arange(first, min(first + step, start + length))

    def _chances(self, rows: Rows) -> npt.NDArray[np.float64]:
        return sigmoid(self._model.logits(rows))

    def _clicks(self, numbers: npt.NDArray[np.int64], chances: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        return uniforms(draw(stream(self._seed, 11), numbers)) < chances


def for_shape(shape: DlrmShape, *, rows: int = DEFAULT_ROWS, seed: int = 0, test: int = TEST_ROWS) -> GeneratedLog:
    """A log whose columns are the inputs of `shape`, in its order."""
    return GeneratedLog(shape, rows=rows, seed=seed, test=test)


def _schema(shape: DlrmShape, features: tuple[Feature, ...]) -> DataSchema:
    roles: dict[str, Role] = {"user id": "static", "static": "static", "context": "context", "history": "history"}
    columns = tuple(
        Column(
            name=f"{feature.kind.replace(' ', '-')}-{feature.number}",
            rows=feature.rows,
            lookups=feature.lookups,
            side="user" if feature.number in shape.user.features else "item",
            role=roles.get(feature.kind, "item"),
            table=f"table-{feature.table}",
        )
        for feature in features
    )
    dense = tuple(
        DenseColumn(name=f"dense-{k}", role="static" if k in shape.user.static else "context")
        for k in range(shape.dense)
    )
    return DataSchema(name=f"generated-{shape.name}", sparse=columns, dense=dense)

"""A small click log in memory, drawn from a known model."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from microduet.data.schema import Chunk, Column, DataSchema, DenseColumn, Part, check_range
from microduet.duet.shape import DlrmShape
from tests.sw.duet.test_shape import SMALL


def schema_of(shape: DlrmShape = SMALL) -> DataSchema:
    """Columns that are exactly a model's inputs."""
    users, static = set(shape.user.features), set(shape.user.static)
    return DataSchema(
        name="log",
        sparse=tuple(
            Column(
                name=f"s{k}",
                rows=shape.tables[feature.table].rows,
                lookups=feature.lookups,
                side="user" if k in users else "item",
                role="history" if k in users else "item",
                table=f"t{feature.table}",
            )
            for k, feature in enumerate(shape.features)
        ),
        dense=tuple(DenseColumn(name=f"d{k}", role="static" if k in static else "context") for k in range(shape.dense)),
    )


@dataclasses.dataclass
class Log:
    """Clicks whose log-odds are sums of a number per id and a weight per dense column."""

    schema: DataSchema
    counts: dict[str, int]
    seed: int = 0
    noise: float = 1.0

    def rows(self, part: Part) -> int:
        return self.counts[part]

    def chunks(self, part: Part, *, first: int = 0, count: int | None = None, size: int = 65_536) -> Iterator[Chunk]:
        count = check_range(self.schema.name, self.rows(part), first, count, size)
        whole = self.whole(part)
        for start in range(first, first + count, size):
            yield whole[start : min(start + size, first + count)]

    def whole(self, part: Part) -> Chunk:
        """All rows of a part."""
        return self._drawn(part)[0]

    def probabilities(self, part: Part) -> np.ndarray:
        return self._drawn(part)[1]

    def _drawn(self, part: Part) -> tuple[Chunk, np.ndarray]:
        rule = np.random.default_rng(self.seed)
        generator = np.random.default_rng((self.seed, ("train", "validation", "test").index(part)))
        rows, logits = self.counts[part], np.full(self.counts[part], -0.5)
        pieces = []
        for column in self.schema.sparse:
            ids = generator.integers(0, column.rows, (rows, column.lookups))
            if column.lookups > 1:
                ids[generator.random(ids.shape) < 0.1] = -1
            values = np.append(rule.normal(0, self.noise, column.rows) / column.lookups**0.5, 0)
            logits += values[ids].sum(1)
            pieces.append(ids)
        dense = generator.standard_normal((rows, len(self.schema.dense)), dtype=np.float32)
        logits += dense @ rule.normal(0, 0.3, len(self.schema.dense))
        chances = 1 / (1 + np.exp(-logits))
        labels = (generator.random(rows) < chances).astype(np.uint8)
        return Chunk(labels=labels, sparse=np.concatenate(pieces, 1), dense=dense), chances


def small_log(*, train: int = 20_000, validation: int = 2000, test: int = 4000, seed: int = 0) -> Log:
    """The log of the tests' small model."""
    print(f"seed {seed}")
    return Log(schema_of(), {"train": train, "validation": validation, "test": test}, seed)

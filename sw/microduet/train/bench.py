"""`microduet bench train`: rows per second of the training against a plain PyTorch loop of the same model."""

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from microduet.data.schema import Chunk, Column, DataSchema, DenseColumn, Part, check_range
from microduet.duet import zoo
from microduet.errors import InputError
from microduet.progress import Steps, steps
from microduet.train.batches import Source, ahead
from microduet.train.learner import Learner, head
from microduet.train.shapes import Hashing, model_shape
from microduet.train.threads import threads_for, using_threads
from microduet.versions import versions
from microduet_hw.config import Frozen

CRITEO_SPARSE, CRITEO_DENSE = 26, 13
ZIPF = 1.2
PLAIN_RATE = 0.01


class TrainBenchOptions(Frozen, frozen=True, kw_only=True):
    """Arguments of `microduet bench train`."""

    model: str = "rm1"
    batch: int = 8192
    batches: int = 8
    rounds: int = 5
    table_rows: int = 100_000
    precision: str = "auto"
    seed: int = 0
    json: bool = False


class CriteoRows:
    """Rows of Criteo's form that are in memory: 26 ids by Zipf's law, 13 numbers, labels by chance."""

    def __init__(self, rows: int, table_rows: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.schema = DataSchema(
            name="criteo-form",
            sparse=tuple(
                Column(name=f"C{k}", rows=table_rows, side="user" if k < 19 else "item",
                       role="static" if k < 19 else "item")
                for k in range(1, CRITEO_SPARSE + 1)
            ),
            dense=tuple(DenseColumn(name=f"I{k}", role="static") for k in range(1, CRITEO_DENSE + 1)),
        )  # fmt: skip
        self._chunk = Chunk(
            labels=(generator.random(rows) < 0.25).astype(np.uint8),
            sparse=(generator.zipf(ZIPF, (rows, CRITEO_SPARSE)) - 1) % table_rows,
            dense=generator.standard_normal((rows, CRITEO_DENSE), dtype=np.float32),
        )

    def rows(self, part: Part) -> int:
        """The same rows in every part."""
        return len(self._chunk)

    def chunks(self, part: Part, *, first: int = 0, count: int | None = None, size: int = 1 << 16) -> Iterator[Chunk]:
        """Slices of them."""
        end = first + check_range(self.schema.name, self.rows(part), first, count, size)
        for start in range(first, end, size):
            yield self._chunk[start : min(start + size, end)]


class PlainLoop:
    """What one writes first: an `EmbeddingBag` with sparse gradients per table, one Adagrad for all, whole float32."""

    def __init__(self, spec: zoo.DlrmModelSpec) -> None:
        self._shape = spec.shape
        self._model = Learner(spec).model  # layers with the same first weights; its tables stay unused
        self._bags = torch.nn.ModuleList(
            torch.nn.EmbeddingBag(table.rows, table.dim, mode="sum", sparse=True) for table in spec.shape.tables
        )
        torch.sparse.check_sparse_tensor_invariants.disable()  # else torch asks, in a warning, what is wanted
        layers = [weight for weight in self._model.parameters() if weight.requires_grad]
        self._optimiser = torch.optim.Adagrad([*layers, *self._bags.parameters()], lr=PLAIN_RATE)

    def learn(self, sparse: torch.Tensor, dense: torch.Tensor, labels: torch.Tensor) -> None:
        """One step: int64 (rows, lookups), float32 (rows, dense columns), float32 (rows,)."""
        shape = self._shape
        sums = torch.cat([self._bags[f.table](sparse[:, shape.columns(k)]) for k, f in enumerate(shape.features)], 1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(self._model, sums, dense)[:, 0], labels)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()


class TrainBench(Frozen, frozen=True, kw_only=True):
    """Rows per second, medians of alternating rounds."""

    model: str
    rows_per_s: float
    plain_rows_per_s: float
    ratio: float
    ratios: tuple[float, ...]
    """Of every round."""
    batch: int
    table_rows: int
    precision: str
    threads: int
    seed: int


def measure(options: TrainBenchOptions, progress: Steps) -> TrainBench:
    """Both loops in turns on the same rows, so that what else runs on the machine meets both."""
    if min(options.batch, options.batches, options.rounds) < 1:
        raise InputError("--batch, --batches and --rounds must be at least 1")
    rows = options.batch * options.batches
    data = CriteoRows(rows, options.table_rows, options.seed)
    shape = model_shape(zoo.shape_of(options.model), data.schema, table_rows=options.table_rows)
    spec = zoo.DlrmModelSpec(shape=shape, seed=options.seed)
    chunk = next(data.chunks("train", size=rows))
    tensors = [torch.from_numpy(array) for array in (chunk.sparse, chunk.dense, chunk.labels.astype(np.float32))]
    plain, learner = PlainLoop(spec), Learner(spec, precision=options.precision)
    source = Source(
        data=data, tables=learner.tables, hashing=Hashing(shape, data.schema), batch=options.batch, seed=options.seed
    )

    def ours() -> None:
        for batch in ahead(source.batches("train", first=0, count=rows, train=True)):
            learner.step(batch)

    def theirs() -> None:
        for batch in zip(*(tensor.split(options.batch) for tensor in tensors), strict=True):
            plain.learn(*batch)

    found: list[tuple[float, float]] = []
    threads = threads_for(shape, options.batch)
    for number in range(options.rounds + 1):  # the first one warms up
        with using_threads(threads):
            found.append((rows / _seconds(ours), rows / _seconds(theirs)))
        progress("rounds", number, options.rounds)
    own, other = (statistics.median(values) for values in itertools.islice(zip(*found[1:], strict=True), 2))
    return TrainBench(
        model=shape.name,
        rows_per_s=own,
        plain_rows_per_s=other,
        ratio=own / other,
        ratios=tuple(first / second for first, second in found[1:]),
        batch=options.batch,
        table_rows=options.table_rows,
        precision=learner.precision,
        threads=threads,
        seed=options.seed,
    )


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(options: TrainBenchOptions) -> int:
    """Measure, and print a table or one JSON object."""
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        found = measure(options, progress)
    if options.json:
        import msgspec

        print(json.dumps(msgspec.to_builtins(found) | {"versions": versions()}))
        return 0
    table = Table(box=None, show_header=False)
    table.add_row("model", found.model)
    table.add_row("rows/s", f"{found.rows_per_s:,.0f}")
    table.add_row("plain PyTorch loop, rows/s", f"{found.plain_rows_per_s:,.0f}")
    rounds = ", ".join(f"{ratio:.2f}" for ratio in found.ratios)
    table.add_row("ratio", f"{found.ratio:.2f} (rounds {rounds})")
    table.add_row("batch, threads, products", f"{found.batch:,}, {found.threads}, {found.precision}")
    console.print(table)
    return 0

"""Batches of a click log, prepared by a thread of their own while the last one is learnt."""

import dataclasses
import queue
import threading
from collections.abc import Generator, Iterator

import numpy as np
import torch

from microduet.data.schema import DataSet, Part
from microduet.train.shapes import Hashing
from microduet.train.tables import Bags, Tables

CHUNK_IDS = 1 << 24
"""Ids of a log that are in memory together, 128 MiB."""

AHEAD = 4
"""Batches that are ready before they are wanted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Some rows of a log as a model takes them.

    Members
    -------
    labels : float32 (rows,)
    bags : lookups, by width of the tables
    dense : float32 (rows, dense columns), None for a model without
    """

    labels: torch.Tensor
    bags: list[Bags]
    dense: torch.Tensor | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where batches come from and how large they are.

    Members
    -------
    batch : rows of a batch
    seed : of the order of rows within a chunk; chunks themselves come in the log's order
    most : rows of a chunk, at most: 2,560 dense inputs of 2^16 rows are 640 MB
    """

    data: DataSet
    tables: Tables
    hashing: Hashing
    batch: int
    seed: int = 0
    most: int = 1 << 16

    @property
    def chunk(self) -> int:
        """Rows that are read and shuffled together: whole batches."""
        most = min(CHUNK_IDS // max(1, self.data.schema.lookups), self.most)
        return max(1, most // self.batch) * self.batch

    def batches(self, part: Part, *, first: int, count: int, train: bool, epoch: int = 0) -> Generator[Batch]:
        """Rows `first` to first + count - 1 of a part; shuffled within chunks to train, else in order."""
        for number, chunk in enumerate(self.data.chunks(part, first=first, count=count, size=self.chunk)):
            sparse = self.hashing(chunk)
            order = None
            if train:
                where = first + number * self.chunk
                order = np.random.default_rng((self.seed, epoch, where)).permutation(len(chunk))
            for start in range(0, len(chunk), self.batch):
                rows = slice(start, start + self.batch) if order is None else order[start : start + self.batch]
                yield Batch(
                    labels=torch.from_numpy(chunk.labels[rows].astype(np.float32)),
                    bags=self.tables.bags(sparse[rows], train=train),
                    dense=torch.from_numpy(np.array(chunk.dense[rows], np.float32)) if chunk.dense.shape[1] else None,
                )


def ahead(batches: Iterator[Batch]) -> Generator[Batch]:
    """The same batches, prepared by another thread; an error of it is raised here."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(AHEAD)
    over = threading.Event()

    def put(value: Batch | BaseException | None) -> bool:
        while not over.is_set():
            try:
                ready.put(value, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:  # raised again where the batches are wanted
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (found := ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        over.set()
        thread.join()

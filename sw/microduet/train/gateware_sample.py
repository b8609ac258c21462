"""Rows of a log through the simulated edge unit and engine, held against the golden models bit for bit."""

import dataclasses

import numpy as np
import numpy.typing as npt

import microduet as md
from microduet.bundle import Bundle
from microduet.duet.configure import histories
from microduet.duet.users import UserBatch, user_rows, user_tables
from microduet.edge.bundle import EdgeBundle
from microduet.models.split import SplitModel
from microduet.progress import Steps
from microduet.queries.golden import GoldenSystem
from microduet.queries.open import OwnSession
from microduet.train.int8 import log_items, users_of

CANDIDATES = 16
"""Items that each user of the sample is shown: his own row's and those of the rows behind it."""

Entries = list[npt.NDArray[np.float32]]
"""Of one history group float32 (elements,) each, the oldest first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleResult:
    """Queries and candidates that were run, and how many queries were wrong."""

    queries: int
    items: int
    mismatches: int


def run_sample(
    edge: EdgeBundle,
    engine: Bundle,
    model: SplitModel,
    rows: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]],
    *,
    progress: Steps,
) -> SampleResult:
    """Every CANDIDATES-th of `rows`, hashed ids and dense inputs, is a user; all are candidates of one.

    The user's history is preloaded entry by entry, as on a device; his vector crosses the link; the engine ranks.
    """
    sparse, dense = rows
    starts = range(0, len(sparse) - CANDIDATES + 1, CANDIDATES)
    wrong = 0

    def building(done: int, of: int, what: str) -> None:
        progress(f"building: {what}", done, of)

    with md.query(edge, engine, progress=building) as session:
        golden = GoldenSystem(edge, engine)
        for number, first in enumerate(starts):
            users = users_of(model, sparse[first : first + 1], dense[first : first + 1])
            items = np.ascontiguousarray(log_items(model, sparse[first : first + CANDIDATES]))
            wrong += _differs(session, golden, _histories(model, users.sparse[0]), users, items)
            progress("ranking in RTL", number + 1, len(starts))
    return SampleResult(queries=len(starts), items=len(starts) * CANDIDATES, mismatches=wrong)


def _histories(model: SplitModel, ids: npt.NDArray[np.int64]) -> list[Entries]:
    """The entries of a user's histories by group, from his ids, int64 (user lookups,), newest first."""
    shape = model.shape
    columns: list[npt.NDArray[np.float32]] = []
    known: list[npt.NDArray[np.bool_]] = []
    first = 0
    for number, table in zip(shape.user.features, user_tables(model), strict=True):
        own = ids[first : first + shape.features[number].lookups]
        first += len(own)
        columns.append(user_rows(table, own))
        known.append(own >= 0)
    groups: list[Entries] = []
    place = 0
    for group in histories(model.spec.shape, model.split):
        members = range(place, place + len(group.dims))
        place += len(group.dims)
        there = np.any([known[k] for k in members], axis=0)
        entries = np.concatenate([columns[k] for k in members], 1)[there]
        groups.append(list(entries[::-1]))
    return groups


def _differs(
    session: OwnSession, golden: GoldenSystem, groups: list[Entries], users: UserBatch, items: npt.NDArray[np.int64]
) -> bool:
    """Whether the unit's vector, or any candidate's result, or their order, is not the golden models'."""
    edge = session.edge
    for number, entries in enumerate(groups):
        edge.preload(entries, group=number)
    static = None if users.static is None or edge.bundle.config.static is None else users.static[0]
    if static is not None:
        session.set_static(static)
    context = () if users.context is None or edge.bundle.config.dynamic is None else users.context[0]
    k = min(10, len(items), session.engine.user.top_k)
    ranking = session.rank(items, context, k, scores=True)
    return golden.differs(ranking, golden.user_vector(groups, static, context), items, k=k)

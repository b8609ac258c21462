"""A small system of edge unit, link and engine for tests, and what its golden models answer."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt

import microduet as md
from microduet import boards, search
from microduet.bundle import Bundle
from microduet.duet.engine_shape import item_shape
from microduet.duet.golden import GoldenUser
from microduet.edge.bundle import EdgeBundle
from microduet.golden import Golden
from microduet.models.split import SplitModel
from microduet.planner.make import make
from microduet.presets import engine_config
from microduet.queries.golden import Best, best_items
from microduet.queries.questions import Question, UserMessage
from microduet.queries.ranking import QueryStatus, Ranking, Request
from microduet.queries.session import Session
from microduet_hw.config import EngineConfig, Precision, UserPart
from microduet_hw.user_code import shorter
from tests.sw.duet.engines import SMALL, split_model
from tests.sw.duet.test_compile import BOARD

SLOTS, WAITING, TOP_K, WATCHDOG = 4, 16, 4, 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Small:
    """Both bundles of one small split model."""

    model: SplitModel
    edge: EdgeBundle
    engine: Bundle

    @functools.cached_property
    def golden(self) -> Golden:
        """Of the engine."""
        return self.engine.golden()

    @functools.cached_property
    def user_golden(self) -> GoldenUser:
        """Of the edge unit."""
        return GoldenUser(config=self.edge.config, model=self.edge.model)

    def candidates(self, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Uniform ids, int64 (n, the item's lookups)."""
        rows = [feature.rows for feature in self.engine.shape.features for _ in range(feature.lookups)]
        return rng.integers(0, rows, (n, len(rows)), dtype=np.int64)

    def message(self, rng: np.random.Generator, *, at: int = 0) -> UserMessage:
        """A random user vector as the unit would send it, about half of it zeros."""
        size = self.edge.config.payload_bytes
        payload = rng.integers(0, 256, size, dtype=np.uint8) * rng.integers(0, 2, size, dtype=np.uint8)
        return UserMessage(
            payload=payload,
            coded=shorter(payload),
            version=self.edge.manifest.version,
            scale=float(self.edge.model.payload_scale),
            zero_point=self.edge.model.top[-1].output_zero_point,
            at=at,
        )

    def question(self, n: int, rng: np.random.Generator, *, at: int = 0, user_at: int = 0) -> Question:
        """A query of `n` candidates."""
        return Question(
            sparse=self.candidates(n, rng),
            tags=rng.permutation(1000)[:n].astype(np.uint32),
            user=self.message(rng, at=user_at),
            at=at,
        )

    def best(self, question: Question) -> Best:
        """What the engine should answer."""
        assert question.user is not None, "a query without a user has no answer"
        result = self.golden.run(question.sparse, users=question.user.payload)
        return best_items(result, top_k=TOP_K, tags=question.tags)


def small_config(board: str, *, split: str) -> EngineConfig:
    """Few multipliers, so that it is built soon; tables over four channels; a room of 16 items."""
    model = split_model(SMALL, split)
    shape, card = item_shape(SMALL, model.split), boards.find(board)
    chosen = search.search(shape, precision=Precision.FIXED16, board=card, budget=48).chosen
    plan = make(shape, precision=Precision.FIXED16, board=card, mode="spread").plan
    config = engine_config(shape, precision=Precision.FIXED16, arrays=chosen.arrays, plan=plan)
    assert isinstance(config.user, UserPart)
    user = config.user.replace(lanes=4, slots=SLOTS, waiting=WAITING, top_k=TOP_K, watchdog=WATCHDOG)
    return config.replace(user=user)


def small_system(folder: Path, *, seed: int = 0) -> Small:
    """A `duet` split, compiled for both sides."""
    (folder / "four.toml").write_text(BOARD)
    board = str(folder / "four.toml")
    model = split_model(SMALL, "duet", seed=seed)
    edge = md.compile_edge(model, out=folder / "edge")
    engine = md.compile(model, board=board, config=small_config(board, split="duet"), user=edge, out=folder / "engine")
    return Small(model=model, edge=edge, engine=engine)


@dataclasses.dataclass
class User:
    """What is on the device, kept beside it."""

    system: Small
    session: Session
    rng: np.random.Generator

    def __post_init__(self) -> None:
        config = self.system.edge.config
        self.entries = [
            [self.rng.normal(0, 0.3, history.elements) for _ in range(history.slots)] for history in config.histories
        ]
        for group, entries in enumerate(self.entries):
            self.session.edge.preload(entries, group=group)
        assert config.static is not None
        self.static = self.rng.normal(0, 1, config.static.inputs)
        self.session.set_static(self.static)

    def click(self, item: object, entry: tuple[np.ndarray, ...]) -> None:
        self.session.click(item)  # type: ignore[arg-type]
        for kept, one in zip(self.entries, entry, strict=True):
            kept[:] = [*kept[1:], one]

    def request(self, n: int, **changes: object) -> Request:
        config = self.system.edge.config
        assert config.dynamic is not None
        plain = {
            "session": self.session,
            "candidates": self.system.candidates(n, self.rng),
            "context": self.rng.normal(0, 1, config.dynamic.inputs),
            "k": min(n, TOP_K),
        }
        return Request(**(plain | changes))  # type: ignore[arg-type]

    def vector(self, request: Request) -> np.ndarray:
        """The golden model's user vector, uint8 (bytes,)."""
        edge = self.system.edge
        return self.system.user_golden.run(
            [np.stack([edge.entry(k, one) for one in entries])[None] for k, entries in enumerate(self.entries)],
            edge.static(self.static)[None],
            edge.context(request.context)[None],
        ).payload[0]

    def check(self, request: Request, ranking: Ranking) -> None:
        vector = self.vector(request)
        assert ranking.status is QueryStatus.OK
        assert ranking.payload is not None
        assert ranking.payload.tolist() == vector.tolist()
        result = self.system.golden.run(request.candidates, users=vector)
        order = np.lexsort((np.arange(len(result.logits)), -result.logits))[: request.k]
        assert ranking.tags.tolist() == order.tolist()
        assert ranking.logits.tolist() == result.logits[order].tolist()

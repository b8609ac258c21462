"""The driver of several cards: numpy arrays in, scores out, as for one card."""

import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from microduet.cards.bundle import CardsBundle
from microduet.cards.executor import Executor, Handle, LocalExecutor
from microduet.errors import DeviceError
from microduet.gateware import verilog
from microduet.inputs import check_batch
from microduet.measure import array_rows
from microduet.packets import pack_items
from microduet_hw.config import EngineConfig
from microduet_hw.shard import LINK_BITS
from microduet_hw.status import Status
from microduet_sim.batch import Results
from microduet_sim.build import build
from microduet_sim.closing import Closing
from microduet_sim.compiler import Progress as BuildProgress
from microduet_sim.dram import Memory
from microduet_sim.network import Delivered, Network
from microduet_sim.shard import Shares

IDLE_PS = 50_000_000
"""Between two items of an idle batch: longer than any item takes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardsBatch:
    """Everything that came back of one batch; times in ps from its start.

    Members
    -------
    scores : float32 (items,), NaN where the status is not OK
    logits : int64 (items,), integers
    status : uint8 (items,), `Status` flags
    sent_ps, joined_ps, finished_ps : int64 (items,): the first of its packets was taken, its vector was whole on the
        card that computes it, its score came out
    waiting : vectors, at most, that wait on one card for its engine
    delivered : what the network carried
    """

    scores: npt.NDArray[np.float32]
    logits: npt.NDArray[np.int64]
    status: npt.NDArray[np.uint8]
    sent_ps: npt.NDArray[np.int64]
    joined_ps: npt.NDArray[np.int64]
    finished_ps: npt.NDArray[np.int64]
    waiting: int
    delivered: Delivered

    @property
    def items_per_second(self) -> float:
        """Of the steady state, first and last eighth of the batch left out."""
        return steady_rate(self.finished_ps)


def steady_rate(times_ps: npt.NDArray[np.integer]) -> float:
    """Events per second, first and last eighth left out."""
    ordered = np.sort(times_ps.astype(np.int64))
    edge = len(ordered) // 8
    inner = ordered[edge : len(ordered) - edge]
    return float((len(inner) - 1) * 1e12 / (inner[-1] - inner[0])) if len(inner) > 1 else 0.0


def slowest_array(config: EngineConfig) -> int:
    """Engine cycles that the slowest array takes for an item."""
    return max([1, *(array_rows(config, number) for number in range(len(config.arrays)))])


class CardsDevice(Closing):
    """Several cards, open, each in a process of its own.

    Parameters
    ----------
    bundle : a model compiled for several cards
    memory : model behind the memory channels
    network : between the cards
    executor : where they run; closed with them
    progress : called with the steps of a build

    Raises
    ------
    DeviceError
        If a card cannot be opened.
    """

    def __init__(
        self,
        bundle: CardsBundle,
        *,
        memory: Memory = "dram",
        network: Network | None = None,
        executor: Executor | None = None,
        progress: BuildProgress | None = None,
    ) -> None:
        self.bundle, self.network = bundle, network or Network()
        self._cards: list[Handle] = []
        self._executor = executor or LocalExecutor()
        try:
            # Built here, one after the other and equal ones once: the cards only take them from the cache.
            for config in dict.fromkeys((bundle.engine.config, *bundle.shards)):
                build(config, verilog(config), progress=progress)
            for number, part in enumerate(bundle.parts):
                self._cards.append(self._executor.card(number, part.path, bundle.engine.path, memory=memory))
            self._answers()
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> list[int | None]:
        """Of the cards' processes."""
        return [card.pid for card in self._cards]

    @property
    def closed(self) -> bool:
        """Whether the cards have ended."""
        return not self._cards

    def close(self) -> None:
        """End all cards; closing twice is allowed."""
        for card in self._cards:
            card.close()
        self._cards = []
        self._executor.close()

    def set_stalls(self, probability: float, *, seed: int) -> None:
        """Make every stream of every card wait at random; scores stay the same."""
        self._all("set_stalls", [(probability, seed + number) for number in range(len(self._cards))])

    def infer(
        self,
        sparse: npt.NDArray[np.int64],
        dense: npt.NDArray[np.float32] | None = None,
        *,
        raw: bool = False,
    ) -> npt.NDArray[np.float32] | npt.NDArray[np.int64]:
        """Scores of a batch of items; arguments and errors as `Device.infer`."""
        batch = self.run(sparse, dense)
        return batch.logits if raw else batch.scores

    def run(
        self,
        sparse: npt.NDArray[np.int64],
        dense: npt.NDArray[np.float32] | None = None,
        *,
        mode: typing.Literal["paced", "idle"] = "paced",
    ) -> CardsBatch:
        """As `infer`, with everything that came back.

        Parameters
        ----------
        mode : "paced": items set out as fast as all engines together can compute them; "idle": one at a time
        """
        bundle = self.bundle
        sparse, dense = check_batch(bundle.shape, sparse, dense)
        shares = self._look_up(sparse, self._pace(len(sparse), mode))
        ready = np.array([share.finished_ps for share in shares], np.int64)
        delivered = self.network.deliver(ready, self.share_bytes)
        # Each card's shares of an engine's items come in order, so an item is whole when none of its shares is missing.
        whole = delivered.arrived_ps.max(axis=0)
        joined = np.empty_like(whole)
        for number in range(bundle.cards):
            joined[number :: bundle.cards] = np.maximum.accumulate(whole[number :: bundle.cards])
        results = self._compute(self._vectors(shares, dense), joined)
        return self._finish(shares, joined, results, delivered)

    def lookup_rates(self, sparse: npt.NDArray[np.int64]) -> list[float]:
        """Items per second that each card looks up, when nothing but its own lookups holds it up."""
        sparse, _ = check_batch(self.bundle.shape.replace(dense=0), sparse)
        return [steady_rate(share.finished_ps) for share in self._look_up(sparse, "saturated")]

    @property
    def share_bytes(self) -> tuple[int, ...]:
        """Of each card's message about an item: a header and its beats."""
        return tuple((1 + shard.words) * LINK_BITS // 8 for shard in self.bundle.shards)

    def _pace(self, items: int, mode: str) -> npt.NDArray[np.int64]:
        """The engine cycles in which items set out."""
        if mode == "idle":
            return np.arange(items) * (IDLE_PS * self.bundle.engine.config.engine_mhz // 10**6)
        return np.arange(items) * slowest_array(self.bundle.engine.config) // self.bundle.cards

    def _look_up(self, sparse: npt.NDArray[np.int64], mode: str | npt.NDArray[np.int64]) -> list[Shares]:
        bundle = self.bundle
        packets = [
            part.packets(np.ascontiguousarray(sparse[:, bundle.columns(card)]))
            for card, part in enumerate(bundle.parts)
        ]
        return self._all("look_up", [(words, mode) for words in packets])

    def _vectors(self, shares: list[Shares], dense: npt.NDArray[np.float32] | None) -> npt.NDArray[np.int64]:
        """The engine's dense elements: int64 (items, elements), shares side by side as they came."""
        engine = self.bundle.engine
        items = len(shares[0].tag)
        dtype = engine.input.dtype.newbyteorder("<")
        pieces = [np.ascontiguousarray(share.beats).reshape(items, -1).view(dtype) for share in shares]
        if dense is not None:
            pieces.append(engine.dense(dense))
        return np.concatenate(pieces, axis=1).astype(np.int64)

    def _compute(self, vectors: npt.NDArray[np.int64], joined: npt.NDArray[np.int64]) -> list[Results | None]:
        """Results of every card, None for one that has no item."""
        config, cards = self.bundle.engine.config, self.bundle.cards
        arrivals = -(-joined * config.engine_mhz // 10**6)
        tags = np.arange(len(vectors))
        packets = pack_items(config, sparse=np.zeros((len(vectors), 0), np.int64), dense=vectors, tags=tags)
        busy = [number for number in range(cards) if number < len(vectors)]
        arguments = [(packets[number::cards], arrivals[number::cards]) for number in busy]
        found = self._all("compute", arguments)
        return [*found, *[None] * (cards - len(busy))]

    def _finish(
        self,
        shares: list[Shares],
        joined: npt.NDArray[np.int64],
        results: list[Results | None],
        delivered: Delivered,
    ) -> CardsBatch:
        bundle, items, cards = self.bundle, len(joined), self.bundle.cards
        logits, scores = np.zeros(items, np.int64), np.zeros(items, np.float32)
        finished, status = np.zeros(items, np.int64), np.zeros(items, np.uint8)
        waiting = 0
        for number, result in enumerate(results):
            if result is None:
                continue
            mine = slice(number, None, cards)
            assert (result.tag == np.arange(items)[mine]).all(), "an engine keeps its items in order"
            logits[mine], status[mine], finished[mine] = result.logit, result.status, result.finished_ps
            scores[mine] = result.score / np.float32(65536)
            begun = np.searchsorted(result.accepted_ps, joined[mine], side="right")
            waiting = max(waiting, int((np.arange(1, len(begun) + 1) - begun).max()))
        if not bundle.engine.config.sigmoid:
            scores = np.ldexp(logits.astype(np.float64), -bundle.engine.model.logit_fraction).astype(np.float32)
        for share in shares:
            status |= share.status
        scores[status != Status.OK] = np.nan
        sent = np.min([share.accepted_ps for share in shares], axis=0).astype(np.int64)
        return CardsBatch(
            scores=scores,
            logits=logits,
            status=status,
            sent_ps=sent,
            joined_ps=joined,
            finished_ps=finished,
            waiting=waiting,
            delivered=delivered,
        )

    def _all(self, name: str, arguments: list[tuple[typing.Any, ...]]) -> list[typing.Any]:
        """Give an order to the first cards, all at once, and wait for their answers."""
        if self.closed:
            raise DeviceError("the cards are closed; open the bundle again")
        cards = self._cards[: len(arguments)]
        try:
            for card, given in zip(cards, arguments, strict=True):
                card.order(name, *given)
            return self._answers(cards)
        except BaseException:
            self.close()  # what the others are at belongs to nobody
            raise

    def _answers(self, cards: list[Handle] | None = None) -> list[typing.Any]:
        return [card.answer() for card in (self._cards if cards is None else cards)]

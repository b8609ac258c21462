"""A simulated card's lookups: items in, its share of their vectors out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig
from microduet_hw.shard import LINK_BITS, ShardConfig
from microduet_sim.batch import Mode, Sent, Times, Words
from microduet_sim.card import PATIENCE, Card, Progress

LINK_WORDS = LINK_BITS // 32
"""32-bit words of a beat between cards."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """One card's share of every item's vector, in the items' order.

    Members
    -------
    tag : uint32 (items,); status : uint8 (items,), flags
    beats : uint32 (items, beats of a share, 16), the header left out
    accepted_ps, finished_ps : uint64 (items,): first beat of the packet taken, last beat of the share taken
    cycles : engine cycles of the batch
    """

    tag: Words
    status: npt.NDArray[np.uint8]
    beats: Words
    accepted_ps: Times
    finished_ps: Times
    cycles: int


class ShardSimulator(Card[EngineConfig]):
    """One card's simulated lookups with their memory; parameters as `Card`, of a `ShardConfig`."""

    def look_up(
        self,
        packets: Words,
        *,
        mode: Mode | npt.ArrayLike = "saturated",
        patience: int = PATIENCE,
        progress: Progress | None = None,
    ) -> Shares:
        """Send item packets and take the shares of their vectors; arguments and errors as `Simulator.run`."""
        config = self._config
        assert isinstance(config, ShardConfig), "only a card's lookups send shares"
        sent, items, length = Sent(packets, mode=mode), len(packets), 1 + config.words
        answers, lengths = np.zeros((items * length, LINK_WORDS), np.uint32), np.zeros(items, np.uint32)
        times = {name: np.zeros(items, np.uint64) for name in ("vector_ps", "finished_ps")}
        run = self._send(
            sent,
            arrays={"answers": answers, "answer_beats": lengths, **times},
            patience=patience,
            progress=progress,
            answer_capacity=len(answers),
        )
        assert (lengths == length).all(), "every share has its beats"
        beats = answers.reshape(items, length, LINK_WORDS)
        return Shares(
            tag=beats[:, 0, 0],
            status=beats[:, 0, 1].astype(np.uint8),
            beats=beats[:, 1:],
            accepted_ps=sent.accepted_ps,
            finished_ps=times["finished_ps"],
            cycles=run.engine_cycles,
        )

"""A simulated edge unit: exchange messages with it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import ANSWER_BITS
from microduet_sim.batch import Mode, Sent, Times, Words
from microduet_sim.card import PATIENCE, Card, Progress

ANSWER_WORDS = ANSWER_BITS // 32
"""32-bit words of a beat of an answer."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """One answer per message, in their order.

    Members
    -------
    beats : uint32 (total beats, 8)
    first : int64 (messages + 1,): answer k is ``beats[first[k] : first[k + 1]]``
    accepted_ps, acted_ps, finished_ps : uint64 (messages,): first beat of the message taken, its effect complete, last
        beat of the answer taken
    cycles : of the whole exchange
    seconds : of real time, inside the C++ loop
    """

    beats: Words
    first: npt.NDArray[np.int64]
    accepted_ps: Times
    acted_ps: Times
    finished_ps: Times
    cycles: int
    seconds: float


class MessageSimulator(Card[EdgeConfig]):
    """One simulated edge unit with the memory of its streamed weights; parameters as `Card`."""

    def exchange(
        self,
        messages: Words,
        *,
        capacity: int,
        mode: Mode | npt.ArrayLike = "saturated",
        beats: npt.ArrayLike | None = None,
        patience: int = PATIENCE,
        progress: Progress | None = None,
    ) -> Answers:
        """Send messages and take their answers.

        Parameters
        ----------
        messages : uint32 (messages, beats x 16)
        capacity : beats of all answers together, at most
        mode, beats, patience, progress : as `Simulator.run`

        Raises
        ------
        ValueError
            If an array has the wrong type or shape.
        SimulationError
            As `Simulator.run`, and if there are more answers than `capacity`. The simulator is then closed.
        """
        sent = Sent(messages, mode=mode, beats=beats, name="messages")
        count = len(messages)
        answers, lengths = np.zeros((capacity, ANSWER_WORDS), np.uint32), np.zeros(count, np.uint32)
        times = {name: np.zeros(count, np.uint64) for name in ("vector_ps", "finished_ps")}
        run = self._send(
            sent,
            arrays={"answers": answers, "answer_beats": lengths, **times},
            patience=patience,
            progress=progress,
            answer_capacity=capacity,
        )
        return Answers(
            beats=answers[: run.answer_count],
            first=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            accepted_ps=sent.accepted_ps,
            acted_ps=times["vector_ps"],
            finished_ps=times["finished_ps"],
            cycles=run.engine_cycles,
            seconds=run.seconds,
        )

"""A simulated engine that ranks for users: candidates and user vectors in, ranked answers out."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from microduet_hw.result import BEAT
from microduet_sim.batch import Sent, Times, Words
from microduet_sim.card import PATIENCE, Progress
from microduet_sim.simulator import Simulator

RESULT_WORDS = BEAT.size // 32
"""32-bit words of a beat of a result."""


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """What came out, in the order in which it came: items' own results, and answers of queries.

    Members
    -------
    beats : uint32 (total beats, 4)
    first : int64 (results + 1,): result k is ``beats[first[k] : first[k + 1]]``
    accepted_ps, vector_ps : uint64 (items,): first beat of the item's packet taken; vectors complete, in order
    users_ps : uint64 (user packets,): first beat taken
    finished_ps : uint64 (results,): last beat taken
    engine_cycles, memory_cycles : of the batch
    seconds : of real time, inside the C++ loop
    hashes : uint64, one per clock edge: of all outputs, if asked for
    """

    beats: Words
    first: npt.NDArray[np.int64]
    accepted_ps: Times
    vector_ps: Times
    users_ps: Times
    finished_ps: Times
    engine_cycles: int
    memory_cycles: int
    seconds: float
    hashes: Times = field(default_factory=lambda: np.empty(0, np.uint64))


class QuerySimulator(Simulator):
    """One simulated engine that ranks for users; parameters as `Card`."""

    def rank(
        self,
        items: Sent,
        users: Sent,
        *,
        results: int,
        capacity: int,
        patience: int = PATIENCE,
        hashes: int = 0,
        progress: Progress | None = None,
    ) -> Ranked:
        """Send candidates and user packets until `results` packets are out and all user packets are sent.

        Parameters
        ----------
        results : one per query, and one per item whose own result is wanted
        capacity : beats of all results together, at most
        hashes : keep hashes of all outputs for so many clock edges

        Raises
        ------
        SimulationError
            As `Simulator.run`, and if there are more beats than `capacity`. The simulator is then closed.
        """
        beats, lengths = np.zeros((capacity, RESULT_WORDS), np.uint32), np.zeros(results, np.uint32)
        vectors, finished = np.zeros(len(items), np.uint64), np.zeros(results, np.uint64)
        edges = np.zeros(hashes, np.uint64)
        arrays = {"answers": beats, "answer_beats": lengths, "vector_ps": vectors, "finished_ps": finished}
        run = self._send(
            items,
            users=users,
            results=results,
            arrays=arrays | ({"hashes": edges} if hashes else {}),
            patience=patience,
            progress=progress,
            answer_capacity=capacity,
            hash_capacity=hashes,
        )
        return Ranked(
            beats=beats[: run.answer_count],
            first=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            accepted_ps=items.accepted_ps,
            vector_ps=vectors,
            users_ps=users.accepted_ps,
            finished_ps=finished,
            engine_cycles=run.engine_cycles,
            memory_cycles=run.memory_cycles,
            seconds=run.seconds,
            hashes=edges[: run.hash_count],
        )

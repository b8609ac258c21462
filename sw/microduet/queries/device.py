"""The driver of an engine that ranks for users: queries in, answers out."""

import itertools
import typing
from collections.abc import Sequence

import numpy as np

from microduet.device import Device
from microduet.errors import DeviceError, InputError
from microduet.queries.questions import Question, Reply, check_question, query_words, replies
from microduet_hw.config import UserPart
from microduet_hw.user_packets import USER_BITS, Beats, pack_abandon
from microduet_sim.batch import Sent
from microduet_sim.card import PATIENCE, Progress, SimulationError
from microduet_sim.queries import QuerySimulator, Ranked


class QueryDevice(Device):
    """One engine of an item's part, open; options as `Device`.

    Queries are dealt out to slots in turn; one waits until the answer before it has left its slot.

    Members
    -------
    ranked : what the simulator gave back of the last queries
    started_ps : the time that those count from, since the simulator was opened
    """

    SIMULATOR = QuerySimulator
    simulator: QuerySimulator

    @property
    def user(self) -> UserPart:
        """How users come into the engine."""
        part = self.bundle.config.user
        assert part is not None, "checked when the device was opened"
        return part

    def ask(
        self, questions: Sequence[Question], *, patience: int = PATIENCE, progress: Progress | None = None
    ) -> list[Reply]:
        """Send queries and take their answers, in the order of the questions.

        Parameters
        ----------
        questions : in the order in which their candidates come
        patience : engine cycles without any progress after which they are given up

        Raises
        ------
        InputError
            If a query has no candidates, tags that are not distinct, or tags or ids that are of a wrong shape or
            take more than 32 bits, or if one comes before the query in front of it; nothing is sent then.
        DeviceError
            If the device is closed or stops answering.
        """
        self._expect_open()
        for question in questions:
            check_question(question, lookups=self.bundle.shape.lookups)
        for before, question in itertools.pairwise(questions):
            if question.at < before.at:
                raise InputError(
                    f"queries must come in the order of their arrival, not at {question.at} behind {before.at}"
                )
        if not questions:
            return []
        slots = [k % self.user.slots for k in range(len(questions))]
        turns = [k // self.user.slots for k in range(len(questions))]
        numbers = [(self._asked + k) % (1 << 16) for k in range(len(questions))]
        self._asked += len(questions)
        self.ranked = self._rank(
            self._items(questions, slots, turns, numbers),
            self._users(questions, slots, turns, numbers),
            results=len(questions) + sum(len(q.tags) for q in questions if q.scores),
            capacity=len(questions) * self.user.top_k + sum(len(q.tags) for q in questions if q.scores),
            patience=patience,
            progress=progress,
        )
        return replies(self.ranked, questions, slots, start_ps=self.started_ps)

    def _start(self) -> None:
        super()._start()
        self._asked = self.started_ps = 0
        self.ranked: Ranked | None = None

    def _rank(self, items: Sent, users: Sent, **options: typing.Any) -> Ranked:
        try:
            self.registers["items"] = len(items)
            self.registers["control"] = 1
            cycles = self.simulator.counters().engine_cycles
            self.started_ps = round(cycles * 1e6 / self.bundle.config.engine_mhz)
            return self.simulator.rank(items, users, **options)
        except SimulationError as error:
            raise DeviceError(str(error)) from error

    def _items(self, questions: Sequence[Question], slots: list[int], turns: list[int], numbers: list[int]) -> Sent:
        """Packets of all candidates, query by query."""
        counts = [len(question.tags) for question in questions]
        packets = self.bundle.packets(np.concatenate([question.sparse for question in questions]))
        packets[:, 0] = np.concatenate([question.tags for question in questions])
        packets[:, 1] = np.concatenate(
            [
                query_words(count, number=number, slot=slot, scores=question.scores)
                for question, count, number, slot in zip(questions, counts, numbers, slots, strict=True)
            ]
        )
        return Sent(
            packets,
            mode=np.repeat([question.at for question in questions], counts),
            slots=np.repeat(slots, counts),
            turns=np.repeat(turns, counts),
            name="candidates",
        )

    def _users(self, questions: Sequence[Question], slots: list[int], turns: list[int], numbers: list[int]) -> Sent:
        """User packets in the order in which they may be sent: what waits for its slot is behind what frees it."""
        found: list[tuple[int, int, Beats, int, int]] = []
        earliest: dict[int, int] = {}
        for k, (question, slot, turn, number) in enumerate(zip(questions, slots, turns, numbers, strict=True)):
            told: list[tuple[int, Beats]] = []
            if question.user is not None:
                told.append((question.user.at, question.user.packet(number=number, slot=slot)))
            if question.abandoned_at is not None:
                told.append((question.abandoned_at, pack_abandon(number=number, slot=slot)))
            for at, beats in sorted(told, key=lambda one: one[0]):
                earliest[slot] = max(at, earliest.get(slot, 0))
                found.append((earliest[slot], k, beats, slot, turn))
        found.sort(key=lambda one: one[:2])
        return _sent(found)


def _sent(found: Sequence[tuple[int, int, Beats, int, int]]) -> Sent:
    words = USER_BITS // 32
    longest = max((len(beats) for _, _, beats, _, _ in found), default=1)
    packets = np.zeros((len(found), longest * words), np.uint32)
    for row, (_, _, beats, _, _) in zip(packets, found, strict=True):
        row[: beats.size] = beats.reshape(-1)
    times, _, all_beats, slots, turns = zip(*found, strict=True) if found else ((), (), (), (), ())
    return Sent(
        packets,
        mode=np.array(times, np.uint64),
        beats=[len(beats) for beats in all_beats],
        slots=np.array(slots, np.uint64),
        turns=np.array(turns, np.uint64),
        name="users",
    )

"""Random sessions with a unit, answered by the golden user model."""

import dataclasses
from collections import deque

import numpy as np
import numpy.typing as npt

from microduet.duet.golden import GoldenUser
from microduet.edge.device import EdgeDevice
from microduet_hw.edge.message import EdgeStatus, Kind, message_elements
from microduet_hw.edge.packets import Answer, Beats

Payloads = dict[int, npt.NDArray[np.uint8]]
"""What a query may answer, by the lowest 16 bits of the tag of the static inputs that it saw."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SessionResult:
    """How many messages and queries there were, and what was answered wrongly, one line each."""

    messages: int
    queries: int
    mismatches: tuple[str, ...]


class RandomSession:
    """A user: histories that are loaded and grow by clicks, static inputs that change, contexts that never repeat.

    Parameters
    ----------
    device : the unit
    rng : of everything
    """

    def __init__(self, device: EdgeDevice, rng: np.random.Generator) -> None:
        self._device, self._rng, self._bundle = device, rng, device.bundle
        self._golden = GoldenUser(config=device.bundle.config, model=device.bundle.model)
        histories = device.bundle.config.histories
        self._entries = [deque[npt.NDArray[np.int64]](maxlen=history.slots) for history in histories]
        self._statics: dict[int, npt.NDArray[np.int64] | None] = {}

    def run(self, *, actions: int, stalls: float = 0.0) -> SessionResult:
        """Preload, then `actions` random clicks, queries, checks and changes of static inputs.

        Parameters
        ----------
        actions : messages behind the preload
        stalls : probability that a stream waits in a cycle
        """
        self._device.set_stalls(stalls, seed=int(self._rng.integers(1 << 31)))
        messages: list[Beats] = []
        expected: list[Payloads] = []
        for message, payloads in (*self._preload(), *(self._action() for _ in range(actions))):
            messages.append(message)
            expected.append(payloads)
        exchange = self._device.exchange(messages)
        wrong = [self._verdict(*each) for each in zip(exchange.answers, map(_tag, messages), expected, strict=True)]
        return SessionResult(
            messages=len(messages),
            queries=sum(bool(payloads) for payloads in expected),
            mismatches=tuple(line for line in wrong if line),
        )

    def _preload(self) -> list[tuple[Beats, Payloads]]:
        """New static inputs and a wait for them; every history, often a short one."""
        messages: list[tuple[Beats, Payloads]] = []
        if self._bundle.config.static is not None:
            messages += [self._static(), (self._device.message(Kind.FENCE), {})]
            self._statics = dict([list(self._statics.items())[-1]])
        else:
            self._statics = {0: None}
        for group, entries in enumerate(self._entries):
            assert entries.maxlen is not None
            short = self._rng.random() < 0.3
            count = int(self._rng.integers(1, entries.maxlen, endpoint=True)) if short else entries.maxlen
            kinds = [Kind.PRELOAD] + [Kind.CLICK] * (count - 1)
            messages += [self._entry(kind, group) for kind in kinds]
        return messages

    def _action(self) -> tuple[Beats, Payloads]:
        draw = self._rng.random()
        group = int(self._rng.integers(len(self._entries)))
        if draw < 0.05 and self._bundle.config.static is not None:
            return self._static()
        if draw < 0.1:
            return self._device.message(Kind.CHECK, group=group), {}
        if draw < 0.6:
            return self._entry(Kind.CLICK, group)
        return self._query()

    def _numbers(self, kind: Kind, group: int = 0) -> npt.NDArray[np.int64]:
        """Elements of a message: mostly as the model's own are, now and then at the ends of their range."""
        bits = self._bundle.config.element_bits if kind in (Kind.CLICK, Kind.PRELOAD) else 16
        count, limit = message_elements(self._bundle.config, kind, group), 1 << bits - 1
        usual = np.rint(self._rng.normal(0, limit / 4, count)).clip(-limit, limit - 1).astype(np.int64)
        return np.where(self._rng.random(count) < 0.01, self._rng.choice([-limit, limit - 1], count), usual)

    def _entry(self, kind: Kind, group: int) -> tuple[Beats, Payloads]:
        entry = self._numbers(kind, group)
        if kind is Kind.PRELOAD:
            self._entries[group].clear()
        self._entries[group].append(entry)
        return self._device.message(kind, entry, group=group), {}

    def _static(self) -> tuple[Beats, Payloads]:
        values = self._numbers(Kind.STATIC)
        message = self._device.message(Kind.STATIC, values)
        self._statics[_tag(message) & 0xFFFF] = values
        return message, {}

    def _query(self) -> tuple[Beats, Payloads]:
        """A context; until an update is known to be over, any static inputs since may be those that are seen."""
        context = self._numbers(Kind.QUERY)
        histories = [np.stack(entries)[None] for entries in self._entries]
        payloads = {
            tag: self._golden.run(
                histories,
                None if static is None else static[None],
                context[None] if self._bundle.config.dynamic is not None else None,
            ).payload[0]
            for tag, static in self._statics.items()
        }
        return self._device.message(Kind.QUERY, context), payloads

    def _verdict(self, answer: Answer, tag: int, payloads: Payloads) -> str | None:
        if answer.tag != tag:
            return f"message {answer.tag} is answered in the place of {tag}"
        if answer.status is not EdgeStatus.OK:
            return f"message {answer.tag}: status {answer.status!r}, not OK"
        if not payloads:
            return None
        possible = [statics for statics in payloads if statics in self._statics]
        if answer.statics not in possible:
            return f"message {answer.tag}: static inputs {answer.statics}, not {', '.join(map(str, possible))}"
        # Seen once, they are never older again.
        for older in possible[: possible.index(answer.statics)]:
            del self._statics[older]
        wrong = np.flatnonzero(answer.payload != payloads[answer.statics])
        if not len(wrong):
            return None
        first = int(wrong[0])
        values = f"{answer.payload[first]}, not {payloads[answer.statics][first]}"
        return f"message {answer.tag}: {len(wrong)} of {len(answer.payload)} bytes, first {first}: {values}"


def _tag(message: Beats) -> int:
    return int(message[0, 0])


def random_sessions(
    device: EdgeDevice, *, sessions: int, actions: int, seed: int, stalls: float = 0.0
) -> SessionResult:
    """`sessions` random sessions one after the other, each with `actions` messages behind its preload.

    What waits at random meanwhile does not afterwards.
    """
    rng = np.random.default_rng(seed)
    session = RandomSession(device, rng)
    results = [session.run(actions=actions, stalls=stalls) for _ in range(sessions)]
    device.set_stalls(0, seed=0)
    return SessionResult(
        messages=sum(result.messages for result in results),
        queries=sum(result.queries for result in results),
        mismatches=tuple(line for result in results for line in result.mismatches),
    )

"""Random sessions with an edge unit: messages of every kind, and the answers that the reference expects."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import EdgeStatus, Kind, message_elements
from microduet_hw.edge.model import EdgeModel
from microduet_hw.edge.packets import Answer, Beats, pack_message
from microduet_hw.edge.unit_reference import EdgeReference
from microduet_hw.quantised import INPUT_ZERO_POINT
from microduet_hw.user_code import shorter
from tests.support.models import random_layers

REACH = 1 << 20
"""Magnitude of most elements of an entry."""


def random_edge_model(config: EdgeConfig, rng: np.random.Generator) -> EdgeModel:
    """Random weights; quantised vectors use their range and saturate now and then. A payload's zero point is 0."""
    stacks = {name: random_layers(stack, rng) if stack else () for name, stack in config.stacks.items()}
    *before, last = stacks["top"]
    stacks["top"] = (*before, replace(last, output_zero_point=0))
    slots = max(history.slots for history in config.histories)
    return EdgeModel(
        version=int(rng.integers(1 << 32)),
        pooled_multiplier=np.float32(70 / (REACH * np.sqrt(slots))),
        bottom_multiplier=np.float32(120 / (1 << 15)),
        zero_point=INPUT_ZERO_POINT,
        payload_scale=np.float32(0.01),
        **stacks,
    )


@dataclass
class Expected:
    """What has to be answered; a query's payload depends on the static inputs that it saw."""

    kind: int
    tag: int
    status: EdgeStatus
    payload: dict[int, list[int]] = field(default_factory=dict)
    """By the lowest bits of the tag of the static inputs."""


KINDS = {
    Kind.CLICK: 8,
    Kind.PRELOAD: 1,
    Kind.CLEAR: 0.3,
    Kind.STATIC: 1,
    Kind.QUERY: 5,
    Kind.CHECK: 0.7,
    Kind.FENCE: 0.5,
}
"""How often each kind of message comes."""


class Session:
    """Writes random messages and what is to be answered.

    Parameters
    ----------
    config, model : of the unit
    rng : of the messages
    bad : share of messages that are to be refused
    stride : from a message's tag to the next one's, modulo 2^32; odd, so that 2^16 in a row differ in 16 bits too
    """

    def __init__(
        self, config: EdgeConfig, model: EdgeModel, rng: np.random.Generator, *, bad: float = 0.05, stride: int = 1
    ) -> None:
        self._config, self._model, self._rng, self._bad, self._stride = config, model, rng, bad, stride
        self.reference = EdgeReference(config, model)
        self._tag = 0
        self._statics: dict[int, list[int]] = {} if config.static else {0: []}
        """Outputs of the static MLP for every inputs that may still be what a query sees."""

    def messages(self, count: int) -> tuple[list[Beats], list[Expected]]:
        """`count` messages."""
        pairs = [self.message() for _ in range(count)]
        return [message for message, _ in pairs], [expected for _, expected in pairs]

    def message(self) -> tuple[Beats, Expected]:
        """The next message."""
        kinds = [kind for kind in KINDS if self._config.static or kind not in (Kind.STATIC, Kind.FENCE)]
        weights = np.array([KINDS[kind] for kind in kinds])
        kind = Kind(int(self._rng.choice([int(kind) for kind in kinds], p=weights / weights.sum())))
        if self._config.static and not self._statics:
            kind = Kind.STATIC if self._rng.random() < 0.7 else kind
        group = int(self._rng.integers(len(self._config.histories)))
        return self.make(kind, group)

    def make(self, kind: Kind, group: int = 0) -> tuple[Beats, Expected]:
        """A message of this kind with random contents, refused now and then."""
        elements = self._elements(kind, group)
        message = self._pack(kind, group, elements)
        if self._rng.random() < self._bad:
            message, status = self._spoil(message)
            return message, Expected(kind=kind, tag=self._tag, status=status)
        return message, self._act(kind, group, elements.tolist())

    def unknown(self) -> tuple[Beats, Expected]:
        """A message of a kind that there is not, or for a history that the unit does not have."""
        kind, group = int(self._rng.integers(len(Kind), 256)), int(self._rng.integers(256))
        if self._rng.random() < 0.5:
            kind, group = Kind.CLEAR, int(self._rng.integers(len(self._config.histories), 256))
        message = self._pack(kind, group, ())
        return message, Expected(kind=kind, tag=self._tag, status=EdgeStatus.UNKNOWN)

    def _pack(self, kind: int, group: int, elements: npt.ArrayLike) -> Beats:
        """A message with the next tag."""
        self._tag = (self._tag + self._stride) % (1 << 32)
        version = self._model.version
        return pack_message(self._config, tag=self._tag, version=version, kind=kind, group=group, elements=elements)

    def _elements(self, kind: Kind, group: int) -> np.ndarray:
        count, rng = message_elements(self._config, kind, group), self._rng
        if kind not in (Kind.CLICK, Kind.PRELOAD):
            return rng.integers(-(1 << 15), 1 << 15, count)
        limit = 1 << self._config.element_bits - 1
        usual = rng.integers(-min(REACH, limit), min(REACH, limit), count)
        return np.where(rng.random(count) < 0.02, rng.choice([-limit, limit - 1], count), usual)

    def _spoil(self, message: Beats) -> tuple[Beats, EdgeStatus]:
        """The message with a fault, and what it is called."""
        message = message.copy()
        fault = int(self._rng.integers(4))
        if fault == 0:
            message[0, 1] ^= 1 << int(self._rng.integers(32))
            return message, EdgeStatus.STALE_VERSION
        if fault == 1:
            message[0, 2] ^= 1 << int(self._rng.integers(16, 32))
            return message, EdgeStatus.WRONG_COUNT
        if fault == 2 and len(message) > 1:
            return message[: int(self._rng.integers(1, len(message)))], EdgeStatus.SHORT_PACKET
        return np.concatenate([message, message[-1:]]), EdgeStatus.LONG_PACKET

    def _act(self, kind: Kind, group: int, elements: list[int]) -> Expected:
        expected, histories = Expected(kind=kind, tag=self._tag, status=EdgeStatus.OK), self.reference.histories
        if kind is Kind.CLICK:
            histories.click(group, elements)
        elif kind is Kind.PRELOAD:
            histories.preload(group, elements)
        elif kind is Kind.CLEAR:
            histories.clear(group)
        elif kind is Kind.STATIC:
            self._statics[self._tag & 0xFFFF] = self.reference.static(elements)
        elif kind is Kind.FENCE and self._statics:
            self._statics = dict([list(self._statics.items())[-1]])
        elif kind is Kind.QUERY and not self._statics:
            expected.status = EdgeStatus.MEMO_INVALID
        elif kind is Kind.QUERY:
            expected.payload = {
                tag: self.reference.payload(static=static, context=elements) for tag, static in self._statics.items()
            }
        return expected


def check_answer(answer: Answer, expected: Expected, model: EdgeModel) -> str | None:
    """What is wrong with an answer, or None."""
    for name in ("kind", "tag", "status"):
        if getattr(answer, name) != getattr(expected, name):
            return f"message {expected.tag}: {name} is {getattr(answer, name)!r}, not {getattr(expected, name)!r}"
    constants = (answer.version, answer.scale, answer.zero_point)
    if constants != (model.version, model.payload_scale, model.top[-1].output_zero_point):
        return f"message {expected.tag}: constants are {constants}"
    if not expected.payload:
        return None if not len(answer.payload) else f"message {expected.tag}: an unexpected payload"
    if answer.statics not in expected.payload:
        return f"message {expected.tag}: saw statics {answer.statics}, not one of {list(expected.payload)}"
    found, due = answer.payload.tolist(), expected.payload[answer.statics]
    if found != due or (answer.coded is None) != (shorter(answer.payload) is None):
        form = "plain" if answer.coded is None else "coded"
        return f"message {expected.tag}: payload {found}, {form}, not {due}, which comes coded if that is shorter"
    return None

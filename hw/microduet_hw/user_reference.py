"""Users in plain integers: what a packet is judged to be, a layer's sums of a user, the best of a query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig, Payload
from microduet_hw.quantised import UserWeights
from microduet_hw.status import Status, UserStatus
from microduet_hw.user_code import expanded
from microduet_hw.user_packets import USER, USER_BYTES, Beats, UserKind, scale_bits, unpack_user, user_beats


def plain_packet(beats: Beats, *, length: int) -> Beats:
    """What `UserExpander` hands on of the user packet `beats` to an engine that takes vectors of `length` bytes."""
    if unpack_user(beats).kind != UserKind.CODED:
        return beats
    header, code = np.split(np.ascontiguousarray(beats).astype("<u4").view(np.uint8), [1])
    header[0, USER["kind"].offset // 8] = UserKind.VECTOR
    if not len(code):
        return header.view("<u4")
    found = expanded(code.reshape(-1), length=length)
    vector = np.pad(found.values, (0, -length % USER_BYTES)).reshape(-1, USER_BYTES)
    if found.beyond or len(beats) != user_beats(found.used):
        vector = np.concatenate([vector, vector[-1:]])
    return np.concatenate([header, vector]).view("<u4")


def packet_status(beats: Beats, *, length: int, version: int, scale: float | np.float32, zero_point: int) -> UserStatus:
    """What is wrong with the user packet `beats` for an engine that takes vectors of `length` bytes of this model."""
    packet = unpack_user(beats)
    if packet.kind != UserKind.VECTOR:
        return UserStatus.OK
    status = UserStatus.OK
    own = (version, scale_bits(scale), zero_point)
    if (packet.version, scale_bits(packet.scale), packet.zero_point) != own:
        status |= UserStatus.STALE_VERSION
    if packet.length != length or len(beats) != 1 + -(-length // 64):
        return status | UserStatus.WRONG_LENGTH
    return status if packet.intact else status | UserStatus.CHECKSUM


def user_part(config: EngineConfig, users: UserWeights, payload: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The user's part of the sums of the layer that takes it, int64 (outputs,), from a user vector's bytes.

    It is taken modulo 2^`accumulator_width`, as everything that an accumulator holds.
    """
    assert config.user is not None
    if config.user.payload is Payload.VECTOR:
        sums = users.weights.astype(object) @ payload.astype(object)
    else:
        sums = payload.view("<i4").astype(object)
    width = config.accumulator_width
    half = 1 << width - 1
    parts = [
        ((int(bias) + (int(total) << users.shift) + half) % (1 << width)) - half
        for bias, total in zip(users.bias, sums, strict=True)
    ]
    return np.array(parts, np.int64)


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """An item of a query as `answer` takes it."""

    tag: int
    logit: int
    score: int
    status: Status = Status.OK


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a query is answered: its best items in order, and the flags of all of them."""

    items: tuple[Ranked, ...]
    status: Status
    user_status: UserStatus


def answer(items: Sequence[Ranked], *, top_k: int, user_status: UserStatus = UserStatus.OK) -> Answer:
    """The answer to a query of `items`: the best `top_k` that nothing went wrong with.

    Higher logits come first, and of equal ones lower tags.
    """
    status = Status.OK
    for item in items:
        status |= item.status
    right = [] if user_status else [item for item in items if not item.status]
    best = sorted(right, key=lambda item: (-item.logit, item.tag))[:top_k]
    return Answer(items=tuple(best), status=status, user_status=user_status)

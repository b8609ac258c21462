"""Small engines with users, random weights for them, the rows in which their parts are kept, and who sends packets."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig, Payload, Precision, UserPart
from microduet_hw.layout import drain_order
from microduet_hw.quantised import UserWeights
from microduet_hw.user_packets import Beats, pack_user


def with_users(config: EngineConfig, *, layer: int, payload: Payload = Payload.VECTOR, **sizes: int) -> EngineConfig:
    """`config` with users at `layer`; a vector of sums is as long as the layer."""
    if payload is Payload.SUMS:
        sizes["elements"] = config.layers[layer].outputs
    sizes = {"slots": 3, "waiting": 4, "top_k": 4, "watchdog": 4000, **sizes}
    return config.replace(user=UserPart(layer=layer, payload=payload, **sizes))


def random_users(config: EngineConfig, rng: np.random.Generator) -> UserWeights:
    """Random weights and biases, whose parts are about as large as the sums of the layer."""
    user = config.user
    assert user is not None
    outputs = config.layers[user.layer].outputs
    elements = user.elements if user.payload is Payload.VECTOR else 0
    # In int8 sums are much smaller than accumulators.
    int8 = config.precision is Precision.INT8
    bits, top = (18, 40) if int8 else (2 * config.precision.width - 1, (1 << 15) - 1)
    return UserWeights(
        weights=rng.integers(-top, top, (outputs, elements), endpoint=True),
        bias=rng.integers(-(1 << bits - 4), 1 << bits - 4, outputs),
        shift={8: 0, 16: 4, 32: 33}[config.precision.width],
        version=int(rng.integers(1 << 32)),
        scale=float(np.float32(rng.uniform(0.001, 0.1))),
        zero_point=int(rng.integers(256)),
    )


def random_payload(config: EngineConfig, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The bytes of a random user vector; sums are of 17 or 25 bits."""
    user = config.user
    assert user is not None
    if user.payload is Payload.VECTOR:
        return rng.integers(0, 256, user.elements, dtype=np.uint8)
    bits = 16 if config.precision is Precision.INT8 else 24
    return rng.integers(-(1 << bits), 1 << bits, user.elements).astype("<i4").view(np.uint8)


def user_packet(
    users: UserWeights,
    payload: npt.NDArray[np.uint8],
    *,
    number: int,
    slot: int,
    coded: npt.NDArray[np.uint8] | None = None,
) -> Beats:
    """The packet of a user vector, or of its code, for an engine that was loaded with `users`."""
    return pack_user(
        number=number,
        slot=slot,
        version=users.version,
        scale=users.scale,
        zero_point=users.zero_point,
        payload=payload,
        coded=coded,
    )


def part_rows(config: EngineConfig) -> npt.NDArray[np.int64]:
    """Which output of the users' layer stands where: (rows, lanes), or HOLE."""
    user = config.user
    assert user is not None
    if user.layer == len(config.hidden):
        return np.zeros((1, 1), np.int64)
    return np.concatenate([outputs for outputs, _ in drain_order(config, user.layer)])


class UserSender:
    """Offers packets on `s_axis_users` beat by beat, each until it is taken, with pauses.

    Parameters
    ----------
    packets : beats of each
    wait : probability that a cycle passes without a beat being offered
    """

    def __init__(self, packets: Sequence[Beats], *, wait: float) -> None:
        self.beats = [(beat, k == len(p) - 1) for p in packets for k, beat in enumerate(p)]
        self.wait, self.offered = wait, False

    def inputs(self) -> dict[str, int]:
        """The stream's signals in the next cycle."""
        self.offered = self.offered or (bool(self.beats) and random.random() >= self.wait)
        beat, last = self.beats[0] if self.offered else (np.zeros(16, np.uint32), False)
        data = int.from_bytes(beat.tobytes(), "little")
        return {"s_axis_users__tvalid": int(self.offered), "s_axis_users__tdata": data, "s_axis_users__tlast": last}

    def look(self, dut: Any) -> bool:
        """Whether a packet's last beat was taken in this cycle."""
        if not (self.offered and dut.s_axis_users__tready.value):
            return False
        self.offered = False
        return self.beats.pop(0)[1]

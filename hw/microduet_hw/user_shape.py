"""Sizes of what computes and keeps users' parts of a layer's sums."""

import math

from amaranth.hdl import unsigned
from amaranth.lib import data

from microduet_hw.config import EngineConfig, Frozen, Payload, UserPart
from microduet_hw.layout import array_of
from microduet_hw.user_packets import USER_BYTES, USER_CONSTANTS

WEIGHT_BITS = 16
"""Bits of a weight of a user vector's element, whatever the engine's arithmetic."""


class UserShape(Frozen, frozen=True, kw_only=True):
    """Sizes of the user's part.

    Parameters
    ----------
    user : where users come in
    outputs : of the layer
    bits : of an accumulator
    pes, drain : of the layer's array; 1 and 1 of the output layer
    checked : constants, weights and biases can be read
    """

    user: UserPart
    outputs: int
    bits: int
    pes: int
    drain: int
    checked: bool = False

    @property
    def checks(self) -> dict[str, int]:
        """What can be read, as its `CheckPort` is called, and the bits of a row."""
        if not self.checked:
            return {}
        weights = {"check_weights": self.user.lanes * WEIGHT_BITS} if self.vector else {}
        return {"check_model": USER_CONSTANTS.size, **weights, "check_bias": self.bits}

    @property
    def vector(self) -> bool:
        """Whether there is anything to multiply."""
        return self.user.payload is Payload.VECTOR

    @property
    def words(self) -> int:
        """Cycles that an output takes: words of the user vector, or one sum."""
        return math.ceil(self.user.elements / self.user.lanes) if self.vector else 1

    @property
    def element_bits(self) -> int:
        """Bits of the vector that a cycle takes in."""
        return 8 * self.user.lanes if self.vector else 32

    @property
    def per_beat(self) -> int:
        """Cycles that a beat of the vector lasts."""
        return 8 * USER_BYTES // self.element_bits

    @property
    def lanes(self) -> int:
        """Parts of a row: as many as a step of the drain carries outputs."""
        return min(self.pes, self.drain)

    @property
    def full(self) -> int:
        """Steps of a round that carry `drain` outputs."""
        return self.pes // self.drain

    @property
    def leftover(self) -> int:
        """Outputs of a round's last step, if there are some that do not fill one."""
        return self.pes % self.drain

    @property
    def rows(self) -> int:
        """Rows of parts of one user: a row per step of the layer's drain."""
        rounds, rest = divmod(self.outputs, self.pes)
        return rounds * (self.full + (self.leftover > 0)) + math.ceil(rest / self.drain)

    @property
    def row_bits(self) -> int:
        """Bits of a row's number."""
        return (self.rows - 1).bit_length()

    @property
    def slot(self) -> data.StructLayout:
        """Payload of a stream of slots."""
        return data.StructLayout({"slot": unsigned(6)})


def user_shape(config: EngineConfig) -> UserShape:
    """Sizes of the user's part in `config`.

    Raises
    ------
    ValueError
        If it has no users.
    """
    user = config.user
    if user is None:
        raise ValueError("a configuration with users is needed, not one without")
    pes, drain = 1, 1
    if user.layer < len(config.hidden):
        array = array_of(config, user.layer)
        pes, drain = array.pes, array.drain
    outputs = config.layers[user.layer].outputs
    bits, checked = config.accumulator_width, config.weight_check
    return UserShape(user=user, outputs=outputs, bits=bits, pes=pes, drain=drain, checked=checked)

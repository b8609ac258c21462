"""The payload of an ``exact`` split: sums of the first top layer, preloaded into the engine's accumulators."""

import typing

import numpy as np
import numpy.typing as npt

from microduet.errors import ModelError
from microduet_hw.config import Frozen, Precision
from microduet_hw.quantised import QuantisedLayer

BITS = 32
"""Of a sum that is sent, unless another width is asked for: int8's accumulators whole."""


class ExactPayload(Frozen, frozen=True, kw_only=True):
    """How the user's sums are sent: ``round_half_even(sum / 2^shift)``, two's complement, lowest byte first.

    A sum is the bias and the products of the user's columns in the engine's own integers, so its unit is s_x s_w of
    the uncut layer. The engine preloads its accumulators with ``value << shift``. With shift 0 it then computes what
    it computes for the uncut layer, bit for bit; otherwise a preloaded sum is wrong by at most 2^(shift - 1) units,
    of which an output of the layer has 2^shift_of_the_layer. Nothing ever saturates.

    Parameters
    ----------
    sums : outputs of the layer
    bits : of a value, a multiple of 8
    shift : bits of a sum that are not sent
    """

    sums: int
    bits: int
    shift: int

    @property
    def size(self) -> int:
        """Bytes of a user vector, its header not counted."""
        return self.sums * self.bits // 8

    def values(self, sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """What is sent of `sums`, int64 of any shape."""
        floor = sums >> self.shift
        rest = sums - (floor << self.shift)
        half = (1 << self.shift) >> 1
        return floor + ((rest > half) | ((rest == half) & (floor & 1 == 1) & (self.shift > 0)))

    def preload(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The accumulators' initial values."""
        return values << self.shift

    def encode(self, sums: npt.NDArray[np.int64]) -> bytes:
        """The payload of one user's `sums`, int64 (sums,)."""
        if sums.shape != (self.sums,):
            raise ModelError(f"an exact payload has {self.sums} sums, not {sums.shape}")
        values = self.values(sums).astype("<i8").view(np.uint8).reshape(self.sums, 8)
        return values[:, : self.bits // 8].tobytes()

    def decode(self, payload: bytes) -> npt.NDArray[np.int64]:
        """The values in a payload, int64 (sums,); raises ModelError if it has another length."""
        if len(payload) != self.size:
            raise ModelError(f"an exact payload has {self.size} bytes, not {len(payload)}")
        count = self.bits // 8
        parts = np.frombuffer(payload, np.uint8).reshape(self.sums, count).astype(np.int64)
        values = (parts << (8 * np.arange(count))).sum(axis=1)
        spare = 64 - self.bits
        return (values << spare) >> spare


def user_sums(
    layer: QuantisedLayer, columns: typing.Sequence[int], inputs: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Bias and products of `columns`, the user's, of an uncut first layer: int64 (users, outputs).

    `inputs` is int64 (users, columns), the user's part of the engine's quantised vector.
    """
    weights = layer.weights[:, list(columns)]
    return (inputs - layer.input_zero_point) @ weights.T + layer.bias


def exact_payload(
    layer: QuantisedLayer, columns: typing.Sequence[int], *, precision: Precision, bits: int = BITS
) -> ExactPayload:
    """The payload of the user's `columns` of `layer`: the least shift with which no input overflows `bits`.

    Raises
    ------
    ModelError
        If `bits` is not 16, 24, ... 56, or the engine's products are wider than this integer arithmetic.
    """
    if bits not in range(16, 57, 8):
        raise ModelError(f"sums are sent in 16, 24, ... 56 bits, not {bits!r}")
    if precision is Precision.FIXED32:
        raise ModelError("an exact payload is of a fixed16 or int8 engine, not fixed32")
    if precision is Precision.INT8:
        reach = max(layer.input_zero_point, 255 - layer.input_zero_point)
    else:
        reach = 1 << (precision.width - 1)
    largest = int((np.abs(layer.weights[:, list(columns)]).sum(axis=1) * reach + np.abs(layer.bias)).max())
    shift = 0
    while (largest >> shift) + 1 >= 1 << (bits - 1):
        shift += 1
    return ExactPayload(sums=len(layer.bias), bits=bits, shift=shift)


def lossless_bytes(sums: int, inputs: int, precision: Precision = Precision.FIXED16) -> int:
    """Bytes of `sums` sums of `inputs` products and a bias with every bit that any of them may have."""
    return sums * -(-precision.accumulator_width(inputs) // 8)

"""User packets: a query's user vector, or that none will come, as beats of `s_axis_users`."""

import enum
import math
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from amaranth.hdl import unsigned
from amaranth.lib import data

from microduet_hw.config import Payload

USER_BITS = 512
"""Bits of a beat of `s_axis_users`."""

USER_BYTES = USER_BITS // 8

USER = data.StructLayout(
    {
        "number": unsigned(16),
        "slot": unsigned(8),
        "kind": unsigned(8),
        "length": unsigned(16),
        "version": unsigned(32),
        "scale": unsigned(32),
        "zero_point": unsigned(8),
        "crc32": unsigned(32),
    }
)
"""The first beat of a user packet, lowest field first; the rest of the beat is ignored. The vector's bytes follow.

number, slot : of the query
kind : `UserKind`
length : bytes of the vector, not of its code
version, scale, zero_point : of the model that made it; `scale` is a float32
crc32 : of the vector's bytes, as `zlib.crc32` has it
"""

USER_CONSTANTS = data.StructLayout(
    {"version": unsigned(32), "scale": unsigned(32), "zero_point": unsigned(8), "shift": unsigned(6)}
)
"""What an engine knows of its users besides weights and biases (`UserWeights`): loaded as one word."""

Beats = npt.NDArray[np.uint32]
"""uint32 (beats, 16), lowest word first."""


class UserKind(enum.IntEnum):
    """What a user packet says."""

    VECTOR = 0
    """Here is the query's user vector."""
    ABANDON = 1
    """There will be none: a header alone, of which only number and slot count."""
    CODED = 2
    """Here it is without its zeros, as `user_code.code` has it; `length` and `crc32` are those of the vector."""


def user_kinds(payload: Payload) -> tuple[UserKind, ...]:
    """Kinds of packets that an engine takes which is told users as `payload`."""
    return tuple(kind for kind in UserKind if kind is not UserKind.CODED or payload is Payload.VECTOR)


@dataclass(frozen=True, kw_only=True)
class UserPacket:
    """A user packet, field by field.

    Members
    -------
    number, slot, kind, length, version, scale, zero_point, crc32 : as `USER`
    payload : uint8, the bytes that came, as many as `length` says or, if the packet is shorter, fewer; those of a
        coded vector are to be expanded first (`user_reference.plain_packet`)
    """

    number: int
    slot: int
    kind: int
    length: int
    version: int
    scale: np.float32
    zero_point: int
    crc32: int
    payload: npt.NDArray[np.uint8]

    @property
    def intact(self) -> bool:
        """Whether the bytes are those that the checksum is of."""
        return len(self.payload) == self.length and zlib.crc32(self.payload.tobytes()) == self.crc32


def user_bytes(payload: Payload, values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """The bytes of a user vector: uint8 elements, or int32 sums, little-endian.

    Raises
    ------
    ValueError
        If a value does not fit.
    """
    kind = np.dtype(np.uint8) if payload is Payload.VECTOR else np.dtype("<i4")
    wide, limits = np.asarray(values, np.int64), np.iinfo(kind)
    for value in (int(wide.min(initial=0)), int(wide.max(initial=0))):
        if not limits.min <= value <= limits.max:
            raise ValueError(f"elements of a user vector must be {limits.min} to {limits.max}, not {value!r}")
    return np.ascontiguousarray(wide.astype(kind)).view(np.uint8)


def pack_user(
    *,
    number: int,
    slot: int,
    version: int,
    scale: float | np.float32,
    zero_point: int,
    payload: npt.NDArray[np.uint8],
    coded: npt.NDArray[np.uint8] | None = None,
) -> Beats:
    """The packet of a user vector.

    Parameters
    ----------
    number, slot : of the query
    version, scale, zero_point : of the model that made the vector
    payload : uint8, its bytes, as `user_bytes` or an edge unit's answer gives them
    coded : uint8, the bytes that are sent in their place, as `user_code.code` or an edge unit's answer gives them

    Raises
    ------
    ValueError
        If a number does not fit its place in the header.
    """
    text = np.asarray(payload, np.uint8).tobytes()
    header: dict[int | str, int] = {
        "number": number,
        "slot": slot,
        "kind": int(UserKind.VECTOR if coded is None else UserKind.CODED),
        "length": len(text),
        "version": version,
        "scale": scale_bits(scale),
        "zero_point": zero_point,
        "crc32": zlib.crc32(text),
    }
    return _beats(header, text if coded is None else np.asarray(coded, np.uint8).tobytes())


def pack_abandon(*, number: int, slot: int) -> Beats:
    """The packet that gives a query up; ValueError as `pack_user`."""
    return _beats({"number": number, "slot": slot, "kind": int(UserKind.ABANDON)}, b"")


def unpack_user(beats: Beats) -> UserPacket:
    """The user packet of beats, uint32 (n, 16).

    Raises
    ------
    ValueError
        If there is no beat.
    """
    if not len(beats):
        raise ValueError("a user packet has a header, not 0 beats")
    text = np.ascontiguousarray(beats).astype("<u4").tobytes()
    header = USER.from_bits(int.from_bytes(text[:USER_BYTES], "little"))
    scale = np.frombuffer(int(header["scale"]).to_bytes(4, "little"), "<f4")[0]
    fields = {name: int(header[name]) for name, _ in USER if name != "scale"}
    came = np.frombuffer(text[USER_BYTES : USER_BYTES + fields["length"]], np.uint8)
    return UserPacket(**fields, scale=scale, payload=came)


def user_beats(length: int) -> int:
    """Beats of the packet of a user vector of `length` bytes."""
    return 1 + math.ceil(length / USER_BYTES)


def scale_bits(scale: float | np.float32) -> int:
    """The bits of a scale as headers and constants carry it."""
    return int(np.float32(scale).view(np.uint32))


def _beats(header: dict[int | str, int], text: bytes) -> Beats:
    for name, field in USER:
        if not 0 <= header.get(name, 0) < 1 << field.width:
            raise ValueError(f"{name} must be 0 to 2^{field.width} - 1, not {header[name]!r}")
    first = USER.const(header).as_bits().to_bytes(USER_BYTES, "little")
    padded = text.ljust(-(-len(text) // USER_BYTES) * USER_BYTES, b"\0")
    return np.frombuffer(first + padded, "<u4").reshape(-1, USER_BYTES // 4)

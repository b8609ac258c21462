"""User vectors without their zeros: what crosses the link in place of a vector that has many."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

GROUP = 16
"""Elements that share a mask."""

MASK_BYTES = GROUP // 8

GROUP_BYTES = MASK_BYTES + GROUP
"""Of a group without a zero."""

Bytes = npt.NDArray[np.uint8]


class Expanded(NamedTuple):
    """What coded bytes stand for.

    Members
    -------
    values : uint8 (length,); elements whose bytes did not come are 0
    used : bytes that the code says there are, perhaps more than there were
    beyond : the last mask has bits for elements that there are not
    """

    values: Bytes
    used: int
    beyond: bool


def code_groups(length: int) -> int:
    """Groups of a vector of `length` elements; the last one may have fewer than `GROUP`."""
    return math.ceil(length / GROUP)


def code(vector: Bytes) -> Bytes:
    """The code of a vector uint8 (n,).

    Group by group: `MASK_BYTES` bytes, whose bit k says that element k is not 0, the lowest bit first; then the
    elements that are not 0, in order.
    """
    groups = np.pad(np.asarray(vector, np.uint8), (0, -len(vector) % GROUP)).reshape(-1, GROUP)
    masks = np.packbits(groups != 0, axis=1, bitorder="little")
    return np.hstack([masks, groups])[np.hstack([np.ones_like(masks, bool), groups != 0])]


def shorter(vector: Bytes) -> Bytes | None:
    """What is sent in place of a vector: its code, or None if that has no fewer bytes."""
    coded = code(vector)
    return coded if len(coded) < len(vector) else None


def expanded(coded: Bytes, *, length: int) -> Expanded:
    """What `coded`, and zeros behind it, stand for as a vector of `length` elements, at least 1."""
    groups = code_groups(length)
    text = np.concatenate([coded[: groups * GROUP_BYTES], np.zeros(groups * GROUP_BYTES, np.uint8)])
    values, masks = np.zeros((2, groups, GROUP), np.uint8)
    used = 0
    for group, mask in zip(values, masks, strict=True):
        mask[:] = np.unpackbits(text[used : used + MASK_BYTES], bitorder="little")
        first, used = used + MASK_BYTES, used + MASK_BYTES + int(mask.sum())
        group[mask == 1] = text[first:used]
    return Expanded(values=values.reshape(-1)[:length], used=used, beyond=bool(masks.reshape(-1)[length:].any()))


def expand(coded: Bytes, *, length: int) -> Bytes:
    """The vector uint8 (`length`,) whose code is `coded`.

    Raises
    ------
    ValueError
        If `coded` is not the code of a vector of that length, byte for byte.
    """
    found = expanded(coded, length=length)
    if found.beyond or found.used != len(coded):
        raise ValueError(f"{len(coded)} coded bytes must be of {length} elements, not of others")
    return found.values

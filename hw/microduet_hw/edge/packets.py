"""Messages and answers as beats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.edge.config import BEAT_BITS, EdgeConfig
from microduet_hw.edge.message import ANSWER, ANSWER_BITS, HEADER, EdgeStatus, Kind, message_beats
from microduet_hw.user_code import expand

Beats = npt.NDArray[np.uint32]
"""uint32 (beats, words of a beat), lowest word first."""

_WORD = {16: np.dtype("<i2"), 32: np.dtype("<i4")}


def pack_message(
    config: EdgeConfig,
    *,
    tag: int,
    version: int,
    kind: Kind,
    group: int = 0,
    elements: npt.ArrayLike = (),
) -> Beats:
    """A message: its header and its data.

    Parameters
    ----------
    tag, version, kind, group : of the header
    elements : integers of an entry (table by table), of static inputs or of a context

    Returns
    -------
    uint32 (beats, 16)

    Raises
    ------
    ValueError
        If a number does not fit its place in the header.
    """
    values = np.asarray(elements, np.int64)
    header: dict[int | str, int] = {
        "tag": tag,
        "version": version,
        "kind": int(kind),
        "group": group,
        "elements": len(values),
    }
    for name, field in HEADER:
        if not 0 <= header[name] < 1 << field.width:
            raise ValueError(f"{name} must be 0 to 2^{field.width} - 1, not {header[name]!r}")
    entry = kind in (Kind.CLICK, Kind.PRELOAD)
    data = _rows(config, values) if entry else values.astype(_WORD[16]).tobytes()
    beats = message_beats(config, kind, group)
    size = BEAT_BITS // 8
    text = HEADER.const(header).as_bits().to_bytes(size, "little") + data.ljust(beats * size, b"\0")
    return np.frombuffer(text, "<u4").reshape(-1, size // 4)


def _rows(config: EdgeConfig, entry: npt.NDArray[np.int64]) -> bytes:
    """An entry row by row, each padded to whole beats."""
    rows = entry.astype(_WORD[config.element_bits]).reshape(-1, config.row_elements)
    bytes_ = rows.view(np.uint8).reshape(len(rows), -1)
    return np.pad(bytes_, ((0, 0), (0, config.row_beats * BEAT_BITS // 8 - bytes_.shape[1]))).tobytes()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a unit answered.

    Members
    -------
    tag, version, status, kind : of the message's answer
    zero_point, scale : of the payload: a value v stands for ``(v - zero_point) * scale``
    statics : lowest 16 bits of the tag of the STATIC message that the answer depends on
    payload : uint8 (payload bytes,), empty unless it is a query's
    coded : uint8, the code that came in its place, None if it came as it is
    """

    tag: int
    version: int
    status: EdgeStatus
    kind: Kind | int
    zero_point: int
    scale: np.float32
    statics: int
    payload: npt.NDArray[np.uint8]
    coded: npt.NDArray[np.uint8] | None = None


def unpack_answer(config: EdgeConfig, beats: Beats) -> Answer:
    """An answer from its beats, uint32 (n, 8).

    Raises
    ------
    ValueError
        If there are not as many beats as its header says, or they are not the code of a payload.
    """
    header = ANSWER.from_bits(int.from_bytes(np.ascontiguousarray(beats[0]).astype("<u4").tobytes(), "little"))
    length, coded = int(header.length), int(header.coded)
    sent, per_beat = (coded, ANSWER_BITS // 8) if coded else (length, config.row_elements)
    if len(beats) != 1 + math.ceil(sent / per_beat):
        raise ValueError(f"an answer of {sent} bytes has {1 + math.ceil(sent / per_beat)} beats, not {len(beats)}")
    words = np.ascontiguousarray(beats[1:]).astype("<u4").view(np.uint8).reshape(-1, ANSWER_BITS // 8)
    text = words[:, :per_beat].reshape(-1)[:sent].copy()
    kind = int(header.kind)
    return Answer(
        tag=int(header.tag),
        version=int(header.version),
        status=EdgeStatus(int(header.status)),
        kind=Kind(kind) if kind in set(Kind) else kind,
        zero_point=int(header.zero_point),
        scale=np.frombuffer(int(header.scale).to_bytes(4, "little"), "<f4")[0],
        statics=int(header.statics),
        payload=expand(text, length=length) if coded else text,
        coded=text if coded else None,
    )


def join_messages(messages: Sequence[Beats]) -> tuple[Beats, npt.NDArray[np.int64]]:
    """Messages side by side, uint32 (messages, most beats x 16), and the beats of each, int64."""
    lengths = np.array([len(message) for message in messages], np.int64)
    joined = np.zeros((len(messages), int(lengths.max(initial=1)), BEAT_BITS // 32), np.uint32)
    for place, message in zip(joined, messages, strict=True):
        place[: len(message)] = message
    return joined.reshape(len(messages), joined.shape[1] * joined.shape[2]), lengths

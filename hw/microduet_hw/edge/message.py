"""What is said to an edge unit, and what it answers: beats of messages, status flags."""

import enum
import math

from amaranth.hdl import Const, unsigned
from amaranth.lib import data

from microduet_hw.edge.config import BEAT_BITS, COUNT_BITS, EdgeConfig

HEADER = data.StructLayout(
    {
        "tag": unsigned(32),
        "version": unsigned(32),
        "kind": unsigned(8),
        "group": unsigned(8),
        "elements": unsigned(COUNT_BITS),
    }
)
"""The first beat of a message, lowest field first; the rest of the beat is ignored."""

ANSWER_BITS = 256
"""Bits of a beat of an answer."""

ANSWER = data.StructLayout(
    {
        "tag": unsigned(32),
        "version": unsigned(32),
        "status": unsigned(16),
        "kind": unsigned(8),
        "zero_point": unsigned(8),
        "scale": unsigned(32),
        "length": unsigned(COUNT_BITS),
        "statics": unsigned(16),
        "coded": unsigned(COUNT_BITS),
    }
)
"""The first beat of an answer. `scale` is a float32; `length` counts the payload's bytes; `statics` are the lowest bits
of the tag of the STATIC message that the memoisation register's value is of, as the query saw it. If `coded` is 0 the
payload follows, a row of the top MLP's lanes per beat; otherwise so many bytes of its code (`user_code.code`), which
are fewer, and fill the beats."""

CONSTANTS = data.StructLayout(
    {
        "version": unsigned(32),
        "scale": unsigned(32),
        "payload_zero_point": unsigned(8),
        "zero_point": unsigned(8),
        "pooled": data.StructLayout({"mantissa": unsigned(24), "exponent": unsigned(6)}),
        "bottom": data.StructLayout({"mantissa": unsigned(24), "exponent": unsigned(6)}),
    }
)
"""What a unit knows of its model besides weights: loaded as one word."""


class Kind(enum.IntEnum):
    """What a message asks for."""

    CLICK = 0
    """A new entry of a history takes the oldest one's place."""
    PRELOAD = 1
    """The first entry of a new history: what was there before is forgotten."""
    CLEAR = 2
    """The history is empty."""
    STATIC = 3
    """New static inputs: the memoisation register is updated in the background."""
    QUERY = 4
    """Context in, user vector out."""
    CHECK = 5
    """A history is summed again and compared with its running sums."""
    FENCE = 6
    """Answered when no update of the memoisation register is under way."""


HISTORY_KINDS = (Kind.CLICK, Kind.PRELOAD, Kind.CLEAR, Kind.CHECK)
"""Messages whose group is the number of a history; in others it means nothing."""


class EdgeStatus(enum.IntFlag):
    """Why a message was refused, its state unchanged; or what is wrong with an answer."""

    OK = 0
    STALE_VERSION = 1
    """The message is of another model version than the unit."""
    WRONG_COUNT = 2
    """The header's number of elements is not that of the history, the static inputs or the context."""
    AXI_ERROR = 4
    """Memory answered a read of streamed weights with SLVERR or DECERR: the payload means nothing."""
    SHORT_PACKET = 8
    """TLAST came before the last beat."""
    LONG_PACKET = 16
    """TLAST did not come with the last beat."""
    UNKNOWN = 32
    """There is no such kind of message, or no such history."""
    MEMO_INVALID = 64
    """The memoisation register has no value yet."""
    SUM_MISMATCH = 128
    """A running sum is not the sum of its history."""
    TIMEOUT = 256
    """Streamed weights did not come in time: the payload means nothing. Or the message did not go on in time: it has
    not acted, and its answer has no payload."""
    WEIGHT_CHECK = 512
    """Streamed weights were not those that the unit was loaded for: the payload means nothing. Only where weights are
    checked."""


FLAG_BITS = 9
"""Bits of the flags that all units have: what those without the check of weights are made of does not know of more."""


def flag(status: EdgeStatus) -> Const:
    """A flag in hardware."""
    return Const(int(status), max(FLAG_BITS, int(status).bit_length()))


def is_known(config: EdgeConfig, kind: int, group: int = 0) -> bool:
    """Whether a unit takes such messages; of one that it does not take, no elements are expected."""
    if kind in HISTORY_KINDS:
        return group < len(config.histories)
    return kind in tuple(Kind) and (kind != Kind.STATIC or config.static is not None)


def message_elements(config: EdgeConfig, kind: Kind, group: int = 0) -> int:
    """Elements that a message carries: 32 or 16 bits each in an entry, 16 in static inputs and contexts."""
    if kind in (Kind.CLICK, Kind.PRELOAD):
        return config.histories[group].elements
    if kind is Kind.STATIC:
        return config.static.inputs if config.static else 0
    if kind is Kind.QUERY:
        return config.dynamic.inputs if config.dynamic else 0
    return 0


def message_beats(config: EdgeConfig, kind: Kind, group: int = 0) -> int:
    """Beats of a message's data, behind its header."""
    if kind in (Kind.CLICK, Kind.PRELOAD):
        return config.rows(group) * config.row_beats
    return math.ceil(message_elements(config, kind, group) * 16 / BEAT_BITS)

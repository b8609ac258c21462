"""Payloads of the streams inside the memory side."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from microduet_hw.axi import ADDRESS_BITS
from microduet_hw.config import AXI_BYTES, CHECK_BITS, EngineConfig
from microduet_hw.lookup.geometry import ITEM_BITS, WORD_BITS, SourcePlan, dense_beats
from microduet_hw.status import QUERY

LOOKUP_FLAGS = 3
"""The lowest bits of a status are those that a source sets."""
CHECK_FLAG = 1 << LOOKUP_FLAGS
"""ROW_CHECK, as a channel says it in an engine whose rows are checked: a fourth flag."""
PACKET_FLAGS = 3
"""Those that the packet sets: SHORT_PACKET and LONG_PACKET, which are the next, and TIMEOUT."""


def lookup_layout(*, marked: bool = False) -> data.StructLayout:
    """One lookup: the row's index; `bad` if the packet ended before it.

    marked : in place of `bad`, `last` ends a feature, and one that is `empty` has no row
    """
    return data.StructLayout({"index": WORD_BITS, **({"empty": 1, "last": 1} if marked else {"bad": 1})})


def routed_layout() -> data.StructLayout:
    """An index on its way to the channel that has its row, or the `token` behind all of a feature."""
    return data.StructLayout({"index": WORD_BITS, "token": 1})


def order_layout(ids: int, *, marked: bool = False) -> data.StructLayout:
    """What became of a lookup, in their order: a read with this ID, or zeros with these flags.

    `absent` zeros belong to a row that another source holds; others stand for the value zero. `last`, of marked
    lookups, is the lookup's.
    """
    last = {"last": 1} if marked else {}
    return data.StructLayout({"read": 1, "id": range(max(2, ids)), "absent": 1, "flags": LOOKUP_FLAGS, **last})


def request_layout(ids: int) -> data.StructLayout:
    """One read of a memory channel: `length` is the number of beats less one."""
    return data.StructLayout({"address": ADDRESS_BITS, "id": range(max(2, ids)), "length": 8})


def response_layout(ids: int, width: int, *, checked: bool = False) -> data.StructLayout:
    """One beat of the response to a read; `corrupt`, if rows are checked, says with the last that it is no row."""
    corrupt = {"corrupt": 1} if checked else {}
    return data.StructLayout({"data": width, "id": range(max(2, ids)), "error": 1, "last": 1, **corrupt})


def asked_layout(ids: int, beats: int) -> data.StructLayout:
    """A read that the memory has taken: the number of its `last` beat."""
    return data.StructLayout({"id": range(max(2, ids)), "last": range(max(2, beats))})


def id_layout(ids: int) -> data.StructLayout:
    """An ID of a read."""
    return data.StructLayout({"id": range(max(2, ids))})


def bank_word_bits(*, checked: bool) -> int:
    """Bits of a word of an on-chip bank as it is loaded: where rows are checked, its check word in the lowest."""
    return 8 * AXI_BYTES + checked * CHECK_BITS


def bank_write_layout(*, checked: bool = False) -> data.StructLayout:
    """One word to write into an on-chip bank, of `bank_word_bits`; rows count words of 32 bytes."""
    return data.StructLayout({"row": 24, "data": bank_word_bits(checked=checked)})


def sourced_write_layout(*, checked: bool = False) -> data.StructLayout:
    """A word to write, and the source whose bank it is for."""
    return data.StructLayout({"source": 8, "word": bank_write_layout(checked=checked)})


def row_layout(plan: SourcePlan, *, bits: int | None = None) -> data.StructLayout:
    """One beat of a row, or of a sum of rows.

    data : `bits` bits, or as many as a beat of rows has
    part, beat : which part of the source (in the order of service), which beat of the row
    first, last : the beat belongs to the first, to the last row of a sum
    end : the item's last beat of this source
    flags : what went wrong; with the last beat of a row, but ROW_CHECK of a bank with any
    absent : only if the source has partners: it holds none of the rows, they are zeros that add nothing
    """
    return data.StructLayout(
        {
            "data": plan.width if bits is None else bits,
            "part": unsigned(max(1, (len(plan.parts) - 1).bit_length())),
            "beat": unsigned(max(1, (plan.beats - 1).bit_length())),
            "first": 1,
            "last": 1,
            "end": 1,
            "flags": plan.flags,
            **({"absent": 1} if plan.shared else {}),
        }
    )


def beat_layout() -> data.StructLayout:
    """One beat of an item; `bad` if its packet ended before it."""
    return data.StructLayout({"data": ITEM_BITS, "bad": 1})


def dense_layout(config: EngineConfig) -> data.StructLayout:
    """One beat of dense elements; `bad` if the packet ended before it."""
    return data.StructLayout({"data": ITEM_BITS, "number": range(max(2, dense_beats(config))), "bad": 1})


def packet_layout() -> data.StructLayout:
    """The end of an item packet: its tag and query; SHORT_PACKET, LONG_PACKET and TIMEOUT as bits 0 to 2."""
    return data.StructLayout({"tag": 32, "flags": PACKET_FLAGS, "query": QUERY})

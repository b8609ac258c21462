"""The name of what went wrong with an item, and the header that carries it."""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

QUERY = data.StructLayout({"number": unsigned(16), "slot": unsigned(6), "scores": 1, "last": 1})
"""Which query an item is of: its number, in which slot; whether the item's own result is wanted too; its last item."""

HEADER = data.StructLayout({"tag": unsigned(32), "status": unsigned(8), "query": QUERY})
"""What goes with a vector round the arithmetic: the item's tag, its status flags, its query (0 without users)."""


class Status(enum.IntFlag):
    """What went wrong with an item; its score means nothing unless this is OK."""

    OK = 0
    INDEX_RANGE = 1
    """An index was not below its table's number of rows."""
    AXI_ERROR = 2
    """Memory answered a read with SLVERR or DECERR."""
    TIMEOUT = 4
    """Memory did not answer a read, or the item's packet did not go on, before the watchdog's limit."""
    SHORT_PACKET = 8
    """TLAST came before the last beat of the item."""
    LONG_PACKET = 16
    """TLAST did not come with the last beat of the item; what followed was dropped."""
    ROW_CHECK = 32
    """A row's check word is not that of the row and its address. Only where rows have one."""


class UserStatus(enum.IntFlag):
    """Why a query has no answer; its items pass all the same, and no other query is touched."""

    OK = 0
    STALE_VERSION = 1
    """The user vector is of another model version, scale or zero point than the engine's."""
    WRONG_LENGTH = 2
    """It has not as many bytes as the engine takes."""
    CHECKSUM = 4
    """Its bytes are not those that were sent."""
    TIMEOUT = 8
    """It did not come before the watchdog's limit."""
    ABANDONED = 16
    """The host gave the query up."""

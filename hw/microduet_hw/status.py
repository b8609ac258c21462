"""The name of what went wrong with an item, and the header that carries it."""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

HEADER = data.StructLayout({"tag": unsigned(32), "status": unsigned(8)})
"""What goes with a vector round the arithmetic: the item's tag and its status flags."""


class Status(enum.IntFlag):
    """What went wrong with an item; its score means nothing unless this is OK."""

    OK = 0
    INDEX_RANGE = 1
    """An index was not below its table's number of rows."""
    AXI_ERROR = 2
    """Memory answered a read with SLVERR or DECERR."""
    TIMEOUT = 4
    """Memory did not answer a read before the watchdog's limit."""
    SHORT_PACKET = 8
    """TLAST came before the last beat of the item."""
    LONG_PACKET = 16
    """TLAST did not come with the last beat of the item; what followed was dropped."""

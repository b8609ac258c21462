"""Signatures of the AXI interfaces, with the names of the standard: a bench or a tool finds them by prefix.

Directions are those of the master (the sender of a stream); a slave's port is the same signature behind `In`.
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import AXI_BYTES

ADDRESS_BITS = 34
"""Bits of a byte address inside one memory channel: 16 GiB, the largest DDR4 module of a card."""

ID_BITS = 6
"""Bits of ARID and RID."""

PAGE_BYTES = 4096
"""A burst never crosses a multiple of this many bytes."""

BURST_INCR = 1
"""ARBURST of an incrementing burst."""

SIZE_32_BYTES = 5
"""ARSIZE of 2^5 = 32 bytes per beat."""


class ReadMaster(wiring.Signature):
    """AXI4 read channels of a master, 256 bits wide; the signals left out have their default meaning."""

    def __init__(self) -> None:
        super().__init__(
            {
                "arvalid": Out(1),
                "arready": In(1),
                "araddr": Out(ADDRESS_BITS),
                "arid": Out(ID_BITS),
                "arlen": Out(8),
                "arsize": Out(3),
                "arburst": Out(2),
                "rvalid": In(1),
                "rready": Out(1),
                "rdata": In(8 * AXI_BYTES),
                "rid": In(ID_BITS),
                "rresp": In(2),
                "rlast": In(1),
            }
        )


class StreamMaster(wiring.Signature):
    """AXI4-Stream of packets, without byte enables.

    Parameters
    ----------
    bits : width of TDATA, whole bytes

    Raises
    ------
    ValueError
        If `bits` is not a positive multiple of 8.
    """

    def __init__(self, *, bits: int) -> None:
        if bits < 8 or bits % 8:
            raise ValueError(f"bits must be a positive multiple of 8, not {bits!r}")
        super().__init__({"tvalid": Out(1), "tready": In(1), "tdata": Out(bits), "tlast": Out(1)})


class LiteMaster(wiring.Signature):
    """AXI4-Lite of a master, 32 bits of data.

    Parameters
    ----------
    address_bits : width of AWADDR and ARADDR

    Raises
    ------
    ValueError
        If `address_bits` is less than 2, a single word.
    """

    def __init__(self, *, address_bits: int) -> None:
        if address_bits < 2:
            raise ValueError(f"address_bits must be at least 2, not {address_bits!r}")
        super().__init__(
            {
                "awvalid": Out(1),
                "awready": In(1),
                "awaddr": Out(address_bits),
                "wvalid": Out(1),
                "wready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "bvalid": In(1),
                "bready": Out(1),
                "bresp": In(2),
                "arvalid": Out(1),
                "arready": In(1),
                "araddr": Out(address_bits),
                "rvalid": In(1),
                "rready": Out(1),
                "rdata": In(32),
                "rresp": In(2),
            }
        )

"""A memory with a port to write and one to read, of whatever size."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.ram import ram

LARGE = 1 << 16
"""Bits from which on a memory is a module of its own, because Amaranth writes out all its first contents."""


class Store(wiring.Component):
    """A memory, in block RAM or UltraRAM if it is large.

    Latency: `o_data` follows `i_read` and `i_read_row` by `LATENCY` cycle, and stays until the next read.
    Throughput: one row written and one read per cycle. A row that is written in the cycle in which it is read is read
    with its old contents.
    Back-pressure: none.
    Reset: contents stay; they are not defined before they are written.

    Parameters
    ----------
    rows : rows
    bits : bits of a row

    Members
    -------
    i_write, i_row, i_data : write a row
    i_read, i_read_row, o_data : read a row

    Raises
    ------
    ValueError
        If `rows` or `bits` is less than 1.
    """

    LATENCY = 1

    i_write: Signal
    i_row: Signal
    i_data: Signal
    i_read: Signal
    i_read_row: Signal
    o_data: Signal

    def __init__(self, *, rows: int, bits: int) -> None:
        if rows < 1 or bits < 1:
            raise ValueError(f"rows and bits must be at least 1, not {rows!r} and {bits!r}")
        # A memory of one row would have an address of no bits, which Verilog can't write.
        self._rows = max(2, rows)
        super().__init__(
            {
                "i_write": In(1),
                "i_row": In(range(self._rows)),
                "i_data": In(bits),
                "i_read": In(1),
                "i_read_row": In(range(self._rows)),
                "o_data": Out(bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = len(self.o_data)
        if self._rows * bits >= LARGE:
            m.submodules.contents = ram(
                depth=self._rows,
                domain="sync",
                write=self.i_write,
                write_address=self.i_row,
                write_data=self.i_data,
                read=self.i_read,
                read_address=self.i_read_row,
                read_data=self.o_data,
            )
            return m
        m.submodules.contents = words = memory.Memory(shape=unsigned(bits), depth=self._rows, init=[])
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(self.i_write),
            write.addr.eq(self.i_row),
            write.data.eq(self.i_data),
            read.en.eq(self.i_read),
            read.addr.eq(self.i_read_row),
            self.o_data.eq(read.data),
        ]
        return m

"""The check word of a row: what software writes with it, and what a channel's reader and a bank make of what comes."""

import binascii
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import ADDRESS_BITS
from microduet_hw.config import AXI_BYTES, CHECK_BITS
from microduet_hw.lookup.bits import bit, mask, product
from microduet_hw.lookup.layouts import asked_layout, response_layout

PLACE_BYTES = 5
"""Of what stands before a row: the number of its first beat in the channel, 4 bytes, and the channel's."""
BEGIN = 0xFFFF
"""So that zeros, which is what memory that is not there reads as, are no row, not even at address 0."""


def row_seed(address: int, *, channel: int) -> int:
    """What the check word of a row at byte `address` begins with; `channel` counts as in `config.channels`."""
    return binascii.crc_hqx((address // AXI_BYTES).to_bytes(4, "little") + bytes([channel]), BEGIN)


def checked_row(row: bytes, *, address: int, channel: int) -> bytes:
    """The row, of whole beats, with its check word in its last two bytes: the CRC-16 (0x1021) of all before it."""
    body = row[: -CHECK_BITS // 8]
    return body + binascii.crc_hqx(body, row_seed(address, channel=channel)).to_bytes(2, "big")


def is_row(row: bytes, *, address: int, channel: int) -> bool:
    """Whether these bytes are a row of that place."""
    return binascii.crc_hqx(row, row_seed(address, channel=channel)) == 0


def word_check(word: bytes, *, row: int, source: int) -> int:
    """The check word of a word of 32 bytes in row `row` of the on-chip bank of `source`."""
    return binascii.crc_hqx(word, row_seed(AXI_BYTES * row, channel=source))


def word_seed(row: Value, source: int) -> Value:
    """The hardware of `word_check`, of the place alone: what the sum of a right word and its check word is."""
    return _moved(_seed(Cat(Const(0, AXI_BYTES.bit_length() - 1), row), source))


def word_sum(word: Value) -> Value:
    """The hardware of `word_check`, of the word alone; bits that there are not are zeros."""
    return _beat(word)


def _seed(address: Value, channel: int) -> Value:
    numbers = range(5, len(address))
    columns = [binascii.crc_hqx((1 << number - 5).to_bytes(PLACE_BYTES, "little"), 0) for number in numbers]
    return product(columns, address[5:], bits=CHECK_BITS) ^ row_seed(0, channel=channel)


def _beat(data: Value) -> Value:
    columns = [binascii.crc_hqx((1 << k).to_bytes(AXI_BYTES, "little"), 0) for k in range(len(data))]
    return product(columns, data, bits=CHECK_BITS)


def _moved(word: Value) -> Value:
    """The word behind a beat of zeros."""
    columns = [binascii.crc_hqx(bytes(AXI_BYTES), 1 << k) for k in range(CHECK_BITS)]
    return product(columns, word, bits=CHECK_BITS)


class RowChecker(wiring.Component):
    """Says with the last beat of every response whether it is the row of its address: ``crc(place ‖ row) = 0``.

    The beats of different IDs may come in any order. The word is compared for what a row has been asked with, so a row
    of another address is found like a changed bit.

    Latency: `LATENCY` cycle, of responses and of reads alike.
    Throughput: one beat and one read per cycle.
    Back-pressure: none.
    Reset: no read may be in flight.

    Parameters
    ----------
    ids : IDs
    beats : the most beats of a read
    channel : number of the channel, as `config.channels` counts

    Members
    -------
    i_asked, i_address : reads that memory has taken, and of which address
    i : stream of the beats of responses, whole
    o_asked, o : the same a cycle later; `corrupt` with a last beat that ends no row of the address
    """

    LATENCY = 1

    i_asked: stream.Interface
    i_address: Signal
    i: stream.Interface
    o_asked: stream.Interface
    o: stream.Interface

    def __init__(self, *, ids: int, beats: int, channel: int) -> None:
        self._ids, self._channel = ids, channel
        asked = stream.Signature(asked_layout(ids, beats), always_ready=True)
        width = 8 * AXI_BYTES
        super().__init__(
            {
                "i_asked": In(asked),
                "i_address": In(ADDRESS_BITS),
                "i": In(stream.Signature(response_layout(ids, width), always_ready=True)),
                "o_asked": Out(asked),
                "o": Out(stream.Signature(response_layout(ids, width, checked=True), always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        seed, syndrome = Signal(CHECK_BITS, reset_less=True), Signal(CHECK_BITS, reset_less=True)
        asked: Any = Signal(self.i_asked.p.shape(), reset_less=True)
        response: Any = Signal(self.i.p.shape(), reset_less=True)
        come, taken = Signal(), Signal()
        m.d.mem += [
            come.eq(self.i.valid),
            taken.eq(self.i_asked.valid),
            response.eq(self.i.payload),
            asked.eq(self.i_asked.payload),
            seed.eq(_seed(self.i_address, self._channel)),
            # The wide half of the sum has a cycle of its own; what is left behind it is 32 bits to 16.
            syndrome.eq(_beat(self.i.p.data)),
        ]
        begun, word = Signal(self._ids), Signal(CHECK_BITS)
        first = self._kept(m, "seeds", write=taken, id=asked.id, value=seed, of=response.id)
        later = self._kept(m, "words", write=come, id=response.id, value=word, of=response.id)
        m.d.comb += word.eq(_moved(Mux(bit(begun, response.id), later, first)) ^ syndrome)
        with m.If(come | taken):
            fresh = mask(self._ids, asked.id, enable=taken)
            m.d.mem += begun.eq((begun | mask(self._ids, response.id, enable=come)) & ~fresh)
        m.d.comb += [
            self.o_asked.valid.eq(taken),
            self.o_asked.payload.eq(asked),
            self.o.valid.eq(come),
            *(getattr(self.o.p, name).eq(getattr(response, name)) for name, _ in self.i.p.shape()),
            self.o.p.corrupt.eq(response.last & (word != 0)),
        ]
        return m

    def _kept(self, m: Module, name: str, *, write: Value, id: Value, value: Value, of: Value) -> Value:
        """What was last written for the ID `of`."""
        m.submodules[name] = words = memory.Memory(shape=unsigned(CHECK_BITS), depth=self._ids, init=[])
        port, read = words.write_port(domain="mem"), words.read_port(domain="comb")
        m.d.comb += [port.en.eq(write), port.addr.eq(id), port.data.eq(value), read.addr.eq(of)]
        return read.data

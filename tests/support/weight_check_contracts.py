"""`WeightCheck` with its rules, for proofs: the CRC is zlib's of the words that are folded, and which these are."""

import zlib
from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value

from microduet_hw.loader import Target
from microduet_hw.lookup.bits import product
from microduet_hw.pe import PAIR_BITS
from microduet_hw.weight_check import CheckedMemory, WeightCheck
from tests.support.contracts import Contract

CHECK_BITS = 32
MEMORIES = (
    CheckedMemory(target=Target.WEIGHTS, unit=0, bits=8, steps=2),
    CheckedMemory(target=Target.PARAMETERS, unit=0, bits=5),
    CheckedMemory(target=Target.PARAMETERS, unit=1, bits=1),
)


def folded(check: Value, word: Value) -> Value:
    """What zlib makes of a CRC and the bytes of a word: a sum, modulo 2, of what it makes of their single bits."""

    def after(number: int) -> int:
        """Of the CRC in the lowest bits of a number, and the word in those above."""
        given = (number >> CHECK_BITS).to_bytes(len(word) // 8, "little")
        return zlib.crc32(given, number & (1 << CHECK_BITS) - 1)

    nothing, bits = after(0), Cat(check, word)
    return product([after(1 << k) ^ nothing for k in range(len(bits))], bits, bits=CHECK_BITS) ^ nothing


class _Checked(Contract):
    """`WeightCheck` of small memories, whose rows are free."""

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(WeightCheck(memories=MEMORIES), fault=fault)

    def rows(self, ports: dict[str, Any]) -> list[tuple[Value, Value]]:
        """Of every memory whether it is read, and its row."""
        return [(ports[f"memory_{k}__read"], ports[f"memory_{k}__data"]) for k in range(len(MEMORIES))]


class CheckFolds(_Checked):
    """In a cycle of `o_shift` the row of the memory that is read goes into the CRC, in all others nothing does."""

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        word, due, first = Signal(8), Signal(CHECK_BITS), Signal(init=1)
        for read, row in self.rows(ports):
            with m.If(read):
                m.d.comb += word.eq(row)
        takes = ports["o_shift"] & (word.any() if self.fault else 1)
        m.d.sync += [first.eq(0), due.eq(Mux(takes, folded(ports["o_check"], word), ports["o_check"]))]
        m.d.comb += [
            Assert(ports["o_check"] == Mux(first, 0, due)),
            Cover(ports["o_check"] == zlib.crc32(b"\x83\x01")),
        ]


class CheckReads(_Checked):
    """What is asked for is read, as long as it has steps; its words are folded when they are there, each once."""

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        asked, unit = ports["i_reads"], ports["i_unit"]
        none = len(MEMORIES)
        memory, passed = Signal(range(none + 1), init=none), Signal(range(16))
        lasts = Array(WeightCheck.LATENCY + one.steps - 1 for one in (*MEMORIES, MEMORIES[0]))
        with m.If((memory != none) & (passed == lasts[memory])):
            m.d.sync += memory.eq(none)
        with m.Elif(memory != none):
            m.d.sync += passed.eq(passed + 1)
        for k, one in enumerate(MEMORIES):
            array = unit >> PAIR_BITS + 1 if one.target is Target.WEIGHTS else unit
            with m.If((memory == none) & asked[one.target] & (array == one.unit)):
                m.d.sync += [memory.eq(k), passed.eq(1)]
        reads = memory != none
        alone = (asked & (asked - 1)[: len(asked)]) == 0
        m.d.comb += [
            Assume(alone | self.fault),
            Assert(ports["o_busy"] == (reads | asked.any())),
            Assert(ports["o_take"] == (reads & (passed == WeightCheck.LATENCY - 1))),
            Assert(ports["o_shift"] == (reads & (passed >= WeightCheck.LATENCY))),
            *(Assert(read == (memory == k)) for k, (read, _) in enumerate(self.rows(ports))),
            *(Cover(ports["o_shift"] & (memory == k)) for k in range(none)),
        ]

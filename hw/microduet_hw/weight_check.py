"""Reads what was loaded, a row per beat, and folds what it finds into a CRC: are weights still what they were?"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import Frozen
from microduet_hw.crc import crc32
from microduet_hw.loader import Target
from microduet_hw.pe import PAIR_BITS, ProcessingElement


class CheckPort(wiring.Signature):
    """A memory that can be checked: from the second cycle of `read` on, `data` is the row that loads would write."""

    def __init__(self, bits: int) -> None:
        super().__init__({"read": Out(1), "data": In(bits)})


class CheckedMemory(Frozen, frozen=True, kw_only=True):
    """What a check beat reads: in `steps` cycles, `bits` in each.

    Parameters
    ----------
    target, unit : which memory, as load beats name it; of PEs' weights the number of the array
    bits : of a row, or of a step of the array's outputs
    steps : of PEs' weights, until the sums of all PEs have left; otherwise 1
    """

    target: Target
    unit: int = 0
    bits: int
    steps: int = 1


def word_bits(memories: tuple[CheckedMemory, ...]) -> int:
    """Bits that go into the CRC at once, zeros above a memory's own: whole bytes."""
    return 8 * -(-max(memory.bits for memory in memories) // 8)


class WeightCheck(wiring.Component):
    """Folds a row of one memory into a CRC, or the sums that all PEs of an array make of a row of weights.

    Latency: a beat's first word is folded `LATENCY` cycles after `i_reads`, its others in the cycles that follow.
    Throughput: a beat every ``LATENCY + 1 + steps`` cycles, counted where it is taken.
    Back-pressure: `o_busy`, during which `i_reads` is 0 but in its first cycle.
    Reset: nothing is read, and the CRC is that of nothing.

    Parameters
    ----------
    memories : what can be checked

    Members
    -------
    i_reads, i_unit : a bit per `Target`, at most one set: read the row that the loader names. The row, and the operands
        of weights, stay until `o_busy` falls. Of a memory that is not among `memories` nothing is folded
    memory_K : `CheckPort` of memory K; of weights, `data` are the outputs of the array's first PEs
    o_take : all PEs take the sum of this row, begun anew, into their shadow registers
    o_shift : their `i_shift`
    o_busy : a row is asked for or on its way
    o_check : ``zlib.crc32`` of all words that were folded since the reset, `word_bits` each
    """

    LATENCY = ProcessingElement.SUM_LATENCY + 2

    i_reads: Signal
    i_unit: Signal
    o_take: Signal
    o_shift: Signal
    o_busy: Signal
    o_check: Signal

    def __init__(self, *, memories: tuple[CheckedMemory, ...]) -> None:
        if not memories:
            raise ValueError("at least one memory must be checked, not ()")
        self.memories = memories
        super().__init__(
            {
                "i_reads": In(len(Target)),
                "i_unit": In(16),
                "o_take": Out(1),
                "o_shift": Out(1),
                "o_busy": Out(1),
                "o_check": Out(32),
                **{f"memory_{k}": Out(CheckPort(memory.bits)) for k, memory in enumerate(memories)},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The row's number goes out with `reading`; its products are summed a cycle before they can be folded.
        first = ProcessingElement.SUM_LATENCY + 1
        reading = Signal(len(self.memories))
        number = Signal(range(first + max(memory.steps for memory in self.memories)))
        last, word, folds = Signal.like(number), Signal(word_bits(self.memories)), Signal()
        for k, memory in enumerate(self.memories):
            port: Any = getattr(self, f"memory_{k}")
            m.d.comb += port.read.eq(reading[k])
            with m.If(reading[k]):
                m.d.comb += [last.eq(first + memory.steps - 1), word.eq(port.data)]
        with m.If(reading.any()):
            m.d.sync += number.eq(Mux(number == last, 0, number + 1))
            with m.If(number == last):
                m.d.sync += reading.eq(0)
        with m.Else():
            m.d.sync += reading.eq(self._asked())
        m.d.comb += [
            folds.eq(number >= first),
            self.o_take.eq(number == first - 1),
            self.o_shift.eq(folds),
            self.o_busy.eq(reading.any() | self.i_reads.any()),
        ]
        m.submodules.read_sum = crc32(take=folds, data=word, check=self.o_check)
        return m

    def _asked(self) -> Cat:
        """Which of the memories is to be read."""
        array = self.i_unit[PAIR_BITS + 1 :]
        return Cat(
            self.i_reads[memory.target] & ((array if memory.target is Target.WEIGHTS else self.i_unit) == memory.unit)
            for memory in self.memories
        )

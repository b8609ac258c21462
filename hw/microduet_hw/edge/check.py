"""What an edge unit was loaded with, read on request while nothing is under way: is it still what it was?"""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from microduet_hw.edge.answers import WAITING
from microduet_hw.edge.arrays import LoadedWord, array_shape
from microduet_hw.edge.check_ports import ArrayCheck
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import CONSTANTS
from microduet_hw.loader import Target
from microduet_hw.pe import PAIR_BITS
from microduet_hw.weight_check import CheckedMemory, WeightCheck

SUM_BITS = 32
"""Bits of the CRC of a pass of streamed weights."""


def sum_unit(unit: int) -> int:
    """Unit, of `Target.MODEL`, of the CRC of array `unit`'s streamed weights; the constants are unit 0."""
    return 1 + unit


def checked_memories(config: EdgeConfig) -> tuple[CheckedMemory, ...]:
    """What is read: the model's constants, and of every array weights, or the CRC of a pass of them, and parameters."""
    memories = [CheckedMemory(target=Target.MODEL, bits=CONSTANTS.size)]
    for unit, stack in enumerate(config.stacks.values()):
        if stack is None:
            continue
        shape = array_shape(stack).drain.requantiser
        if stack.streamed:
            # Behind it, whether a pass was another.
            memories.append(CheckedMemory(target=Target.MODEL, unit=sum_unit(unit), bits=SUM_BITS + 1))
        else:
            tail, steps = shape.lanes * shape.pe.chain_bits, -(-stack.pes // shape.lanes)
            memories.append(CheckedMemory(target=Target.WEIGHTS, unit=unit, bits=tail, steps=steps))
        memories.append(CheckedMemory(target=Target.PARAMETERS, unit=unit, bits=shape.parameters.size))
    return tuple(memories)


class EdgeCheck(wiring.Component):
    """Reads what check beats ask for, and keeps the CRCs of streamed weights.

    A beat that asks for weights that are streamed has them read anew, a whole pass from memory; so does a word that is
    loaded with another CRC for them, once the unit has run.

    Latency, Throughput: those of `WeightCheck`; of streamed weights, ``1 + ceil(DEPTH / rows)`` passes of the memory.
    Back-pressure: `o_idle` is low while the unit computes or something is read: no beat is to be taken. While something
    is read, `o_busy` is high: nothing of the unit may begin.
    Reset: nothing is read, nothing is under way; the CRCs are 0, of streamed weights too.

    Parameters
    ----------
    config : of a unit whose weights are checked

    Members
    -------
    load : `LoadedWord`
    i_constants : of the model
    i_message, i_updating : a message is there; an update of the memoisation register is under way
    i_acted, i_sent : a message has been acted on; its answer has left
    i_ran : the unit has run since the reset
    o_idle, o_busy : as above
    o_again : streamed weights are to be read anew
    o_check : as `WeightCheck`
    array_NAME : `ArrayCheck` of each array
    """

    load: Any
    i_constants: data.View
    i_message: Signal
    i_updating: Signal
    i_acted: Signal
    i_sent: Signal
    i_ran: Signal
    o_idle: Signal
    o_busy: Signal
    o_again: Signal
    o_check: Signal

    def __init__(self, *, config: EdgeConfig) -> None:
        self._memories = checked_memories(config)
        self._names = list(config.stacks)
        arrays = {name: ArrayCheck(array_shape(stack)) for name, stack in config.stacks.items() if stack is not None}
        self._streams = list(config.streams)
        super().__init__(
            {
                "load": In(LoadedWord(config)),
                "i_constants": In(CONSTANTS),
                **{name: In(1) for name in ("i_message", "i_updating", "i_acted", "i_sent", "i_ran")},
                **{name: Out(1) for name in ("o_idle", "o_busy", "o_again")},
                "o_check": Out(32),
                **{f"array_{name}": Out(signature) for name, signature in arrays.items()},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = WeightCheck(memories=self._memories)
        due = Signal(range(WAITING + 3))
        streams = [self._array(name).stream for name in self._streams]
        m.d.sync += due.eq(due + self.i_acted - self.i_sent)
        m.d.comb += [
            rows.i_reads.eq(self.load.o_reads),
            rows.i_unit.eq(self.load.o_unit),
            self.o_check.eq(rows.o_check),
            self.o_busy.eq(rows.o_busy | self.o_again | Cat(stream.busy for stream in streams).any()),
            self.o_idle.eq(~self.o_busy & ~self.i_message & ~self.i_updating & (due == 0)),
            self.o_again.eq(Cat(stream.again for stream in streams).any()),
        ]
        for number, memory in enumerate(self._memories):
            self._read(m, rows, getattr(rows, f"memory_{number}"), memory)
        return m

    def _array(self, name: str) -> Any:
        return getattr(self, f"array_{name}")

    def _read(self, m: Module, rows: WeightCheck, port: Any, memory: CheckedMemory) -> None:
        """Have `port` of `rows` read `memory`."""
        if memory.target is Target.MODEL:
            m.d.comb += port.data.eq(self._sum(m, memory.unit - 1) if memory.unit else self.i_constants)
            return
        array = self._array(self._names[memory.unit])
        connect(m, port, flipped(array.weights if memory.target is Target.WEIGHTS else array.parameters))
        if memory.target is Target.WEIGHTS:
            m.d.comb += [array.take.eq(rows.o_take), array.shift.eq(rows.o_shift)]

    def _sum(self, m: Module, unit: int) -> Value:
        """The CRC that a pass of array `unit`'s weights should have, and whether one had another."""
        name, load = self._names[unit], self.load
        stream, wanted = self._array(name).stream, Signal(SUM_BITS, name=f"sum_{name}")
        loaded = load.o_valid[Target.MODEL] & (load.o_unit == sum_unit(unit))
        asked = load.o_reads[Target.WEIGHTS] & (load.o_unit[PAIR_BITS + 1 :] == unit)
        with m.If(loaded):
            m.d.sync += wanted.eq(load.o_data)
        m.d.comb += [stream.sum.eq(wanted), stream.again.eq(asked | (loaded & self.i_ran))]
        return Cat(wanted, stream.changed)

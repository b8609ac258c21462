"""Arrays of an edge unit, with their pairs, their loads and their streamed weights."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from microduet_hw.array_wiring import connect_checked_pairs, connect_loader, connect_pairs
from microduet_hw.axi import ReadMaster
from microduet_hw.edge.check_ports import ArrayCheck
from microduet_hw.edge.config import EdgeConfig, stream_rows
from microduet_hw.edge.weight_stream import WeightStream
from microduet_hw.loader import Target
from microduet_hw.lookup.unit import port_name
from microduet_hw.pe_array import PairControl, PeArray, PeArrayShape, pe_array_shape
from microduet_hw.stack import Stack


def array_shape(stack: Stack, *, checked: bool = False) -> PeArrayShape:
    """Sizes of the array that computes `stack`; `checked`: what it is loaded with can be read."""
    shape = pe_array_shape(stack, stack.arrays[0])
    return shape.replace(drain=shape.drain.replace(checked=True)) if checked else shape


def word_bits(config: EdgeConfig) -> int:
    """Bits of the widest word that is loaded."""
    sizes = [256]
    for stack in config.stacks.values():
        if stack is not None:
            shape = array_shape(stack)
            sizes += [shape.pe.weight_bits, shape.drain.requantiser.parameters.size]
    return max(sizes)


class LoadedWord(wiring.Signature):
    """A word that the loader hands out, as `Loader` names it."""

    def __init__(self, config: EdgeConfig) -> None:
        members = {"o_valid": len(Target), "o_unit": 16, "o_row": 24, "o_data": word_bits(config)}
        if config.weight_check:
            members["o_reads"] = len(Target)
        super().__init__({name: Out(bits) for name, bits in members.items()})


def stream_members(config: EdgeConfig, name: str) -> dict[str, wiring.Member]:
    """Members of whoever has the array `name`: its memory ports, when they may read, and what went wrong."""
    if name not in config.streams:
        return {}
    ports = {port_name(channel): Out(ReadMaster()) for channel in config.stream_channels(name)}
    return {**ports, "i_run": In(1), "o_status": Out(16)}


def check_members(config: EdgeConfig, name: str) -> dict[str, wiring.Member]:
    """The member ``check_NAME`` (`ArrayCheck`) of whoever has the array `name`, if there is one and it is checked."""
    stack = config.stacks[name]
    if stack is None or not config.weight_check:
        return {}
    return {f"check_{name}": In(ArrayCheck(array_shape(stack)))}


def add_array(m: Module, parent: Any, config: EdgeConfig, name: str, load: Any) -> PeArray:
    """Add the array `name` of `config` to `parent`'s module `m`: its pairs, its loads and its stream of weights."""
    stack = config.stacks[name]
    assert stack is not None, f"the unit has no {name} array"
    shape = array_shape(stack, checked=config.weight_check)
    m.submodules[name] = array = PeArray(shape=shape)
    check = getattr(parent, f"check_{name}") if config.weight_check else None
    pairs = array.pairs if check is None else _checked_pairs(m, array, check, shape)
    connect_pairs(m, pairs, shape=shape, pes=stack.pes, prefix=f"{name}_pair")
    connect_loader(m, load, array, unit=list(config.stacks).index(name))
    if stack.streamed:
        channels = config.stream_channels(name)
        m.submodules[f"{name}_weights"] = weights = WeightStream(
            beats=stream_rows(stack), channels=len(channels), watchdog=config.watchdog, checked=check is not None
        )
        connect(m, weights.o_rows, array.weights)
        for number, channel in enumerate(channels):
            connect(m, getattr(weights, f"m_axi_{number}"), flipped(getattr(parent, port_name(channel))))
        m.d.comb += [weights.i_run.eq(parent.i_run), parent.o_status.eq(weights.o_status)]
        if check is not None:
            connect(m, flipped(check.stream), weights.check)
    return array


def _checked_pairs(m: Module, array: PeArray, check: Any, shape: PeArrayShape) -> Any:
    """What the pairs of `array` are told, by it and by `check`."""
    connect(m, flipped(check.parameters), array.check)
    if shape.pe.streamed:
        return array.pairs
    pairs: Any = PairControl(shape).create()
    connect_checked_pairs(m, array.pairs, pairs, reading=check.weights.read, take=check.take, shift=check.shift)
    m.d.comb += check.weights.data.eq(pairs.tail)
    return pairs

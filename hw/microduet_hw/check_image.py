"""Check beats: what an engine is asked to read of its weights, and what it finds if none of them has changed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from microduet_hw.check_wiring import checked_memories
from microduet_hw.config import Array, EngineConfig, Precision
from microduet_hw.image import CHECK, CHUNK_BYTES, COMMIT, Beats, pack_words, parameter_beats, user_beats, weight_beats
from microduet_hw.layout import Layers, plan_layer
from microduet_hw.loader import Target
from microduet_hw.operands import check_numbers, check_operand
from microduet_hw.output_layer import output_layer_shape
from microduet_hw.pe import PAIR_BITS, PeShape
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.quantised import QuantisedModel, UserWeights
from microduet_hw.weight_check import CheckedMemory, word_bits


@dataclass(frozen=True, kw_only=True)
class Check:
    """A part of what was loaded.

    Members
    -------
    name : of the part, as a message says it
    beats : that ask for it; the last one asks for nothing, so that it is taken when all of the part has been read
    words : uint8 (words, bytes): what goes into the CRC
    """

    name: str
    beats: Beats
    words: npt.NDArray[np.uint8]


def weight_checks(config: EngineConfig, model: QuantisedModel, users: UserWeights | None = None) -> list[Check]:
    """Weights and parameters, layer by layer, the sigmoid's table and what is known of users, where there are any.

    What lies in the memories is read off the beats that load it. ValueError if they do not fit.
    """
    beats = [weight_beats(config, model), parameter_beats(config, model)]
    beats += [] if users is None else [user_beats(config, users)]
    return read_checks(
        np.concatenate(beats),
        checked_memories(config),
        element=lambda memory: _element(config, memory),
        parts=lambda memory: _parts(config, memory),
    )


def read_checks(
    loaded: Beats,
    memories: tuple[CheckedMemory, ...],
    *,
    element: Callable[[CheckedMemory], PeShape],
    parts: Callable[[CheckedMemory], Iterable[tuple[str, slice]]],
) -> list[Check]:
    """Checks of `memories`, part by part.

    Parameters
    ----------
    loaded : beats that load them, among others
    element : sizes of the PEs whose weights lie in a memory
    parts : names of a memory's parts, and their rows
    """
    size = word_bits(memories) // 8
    checks: list[Check] = []
    for memory in memories:
        beats, rows = _own(loaded.view(np.uint8), memory)
        if memory.target in (Target.WEIGHTS, Target.OUTPUT_WEIGHTS):
            pe = element(memory)
            beats, rows = _operand_beats(pe, memory), _sums(pe, rows, memory)
        beats[:, -1, -1] |= CHECK
        found = rows.reshape(len(rows), memory.steps, -1)[:, :, :size]
        words = np.zeros((len(rows), memory.steps, size), np.uint8)
        words[:, :, : found.shape[-1]] = found
        for name, part in parts(memory):
            asks = np.concatenate([beats[part].reshape(-1, 64), np.zeros((1, 64), np.uint8)])
            checks.append(Check(name=name, beats=asks.view("<u4"), words=words[part].reshape(-1, size)))
    return checks


def _own(loaded: npt.NDArray[np.uint8], memory: CheckedMemory) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Of uint8 (n, 64) beats those that end a row of `memory`, (rows, 1, 64), and the rows, (rows, bytes)."""
    header = loaded[:, CHUNK_BYTES:]
    unit = header[:, 3] | header[:, 4].astype(np.uint16) << 8
    unit = unit >> PAIR_BITS + 1 if memory.target is Target.WEIGHTS else unit
    own = loaded[(header[:, 6] == memory.target) & (unit == memory.unit)]
    ends = own[:, -1] & COMMIT == COMMIT
    return own[ends][:, None].copy(), own[:, :CHUNK_BYTES].reshape(int(ends.sum()), -1)


def _element(config: EngineConfig, memory: CheckedMemory) -> PeShape:
    if memory.target is Target.OUTPUT_WEIGHTS:
        return output_layer_shape(config).pe
    return pe_array_shape(config, config.arrays[memory.unit]).pe


def _operand_beats(pe: PeShape, memory: CheckedMemory) -> npt.NDArray[np.uint8]:
    """Beats (rows, chunks, 64), a row of all PEs each."""
    operand = check_operand(pe).to_bytes(-(-pe.lanes * pe.operand_bits // 8), "little")
    words = np.tile(np.frombuffer(operand, np.uint8), (pe.rows, 1))
    unit = memory.unit << PAIR_BITS + 1
    beats = pack_words(words, target=memory.target, unit=unit, row=np.arange(pe.rows))
    return beats.view(np.uint8).reshape(pe.rows, -1, 64)


def _sums(pe: PeShape, rows: npt.NDArray[np.uint8], memory: CheckedMemory) -> npt.NDArray[np.uint8]:
    """What all PEs make of each row of weights, as the array's first PEs show it: uint8 (rows, steps x bytes)."""
    weights = rows[:, : pe.weight_bits // 8].copy().view(f"<i{pe.precision.width // 8}").astype(np.int64)
    numbers = np.array(check_numbers(pe), np.int64)
    sums = [weights @ numbers]
    if pe.precision is Precision.FIXED32:
        low, high = weights & 0xFFFF, weights >> 16
        sums = [low @ numbers, (low + high) @ numbers, np.zeros(len(weights), np.int64)]
    bits = np.concatenate(
        [total[:, None] >> np.arange(width) & 1 for total, width in zip(sums, pe.sum_widths, strict=True)], axis=1
    )
    # PE by PE as they come, row by row as they are asked for, with nothing behind the last PE.
    by_row = bits.reshape(-1, pe.rows, pe.chain_bits).swapaxes(0, 1).reshape(pe.rows, -1)
    by_row = np.pad(by_row, ((0, 0), (0, memory.steps * memory.bits - by_row.shape[1])))
    steps = by_row.reshape(pe.rows, memory.steps, memory.bits).astype(np.uint8)
    return np.packbits(steps, axis=-1, bitorder="little").reshape(pe.rows, -1)


def _parts(config: EngineConfig, memory: CheckedMemory) -> Iterator[tuple[str, slice]]:
    """The layers that have rows of `memory`, and which."""
    whole = {
        Target.OUTPUT_WEIGHTS: f"weights of layer {len(config.hidden)}",
        Target.OUTPUT_PARAMETERS: f"parameters of layer {len(config.hidden)}",
        Target.SIGMOID: "the sigmoid's table",
        Target.MODEL: "constants of users",
        Target.USER_WEIGHTS: "weights of users",
        Target.USER_BIAS: "biases of users",
    }
    if memory.target in whole:
        yield whole[memory.target], slice(None)
        return
    yield from array_parts(config, config.arrays[memory.unit], memory)


def array_parts(config: Layers, array: Array, memory: CheckedMemory) -> Iterator[tuple[str, slice]]:
    """The layers of `array` that have rows of `memory`, its weights or parameters, and which."""
    plans = [plan_layer(config, layer) for layer in array.layers]
    if memory.target is Target.WEIGHTS:
        kind, counts = "weights", [plan.rounds * plan.steps for plan in plans]
    else:
        kind, counts = "parameters", [sum(map(len, plan.drains)) for plan in plans]
    for layer, (first, end) in zip(array.layers, pairwise(accumulate(counts, initial=0)), strict=True):
        yield f"{kind} of layer {layer}", slice(first, end)

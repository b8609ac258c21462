"""What a card has for the matrix engine, and what an arrangement of arrays takes of it."""

import dataclasses
import math
import typing

from microduet.boards import Board
from microduet.shape import ModelShape
from microduet_hw.config import Array, Layer, Precision

WEIGHT_SHARE = 0.75
"""Part of the card's BRAM36 and URAM that weights may take; the rest is for tables and buffers."""
MULTIPLIERS = {Precision.FIXED16: 4608, Precision.FIXED32: 2304, Precision.INT8: 4608}
"""Multipliers of the MicroRec paper's engines, the budget of a search."""
PER_SLICE = {Precision.FIXED16: 1, Precision.FIXED32: 1, Precision.INT8: 2}
"""Multipliers of an array that share what is a multiplier elsewhere: the two elements of an int8 pair."""
DSP_PER_MULTIPLIER = {Precision.FIXED16: 1, Precision.FIXED32: 3, Precision.INT8: 1}
"""DSP48E2 slices: a 32 x 32 bit product is three of at most 18 x 18 bits (Karatsuba)."""
DSP_PER_REQUANTISER = {Precision.FIXED16: 0, Precision.FIXED32: 0, Precision.INT8: 2}
"""DSP48E2 slices of one drain lane: 24 x 24 bits in int8, only shifts otherwise."""
OUTPUT_LANES = 32
"""Multipliers that the output layer may use beyond the budget."""
MEMORY_BITS, BRAM_ROWS, URAM_ROWS = 72, 512, 4096
"""Width of a BRAM36 and of a URAM at these depths."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """DSP slices and memories of an arrangement of arrays."""

    multipliers: int
    dsp: int
    requantiser_dsp: int
    """Included in `dsp`."""
    output_multipliers: int
    """Lanes of the output layer, beyond `multipliers`."""
    bram36: int
    uram: int

    def fit(self, board: Board) -> bool:
        """Whether `board` has as much for weights."""
        return (
            self.dsp <= board.dsp
            and self.bram36 <= board.bram36 * WEIGHT_SHARE
            and self.uram <= board.uram * WEIGHT_SHARE
        )


def multipliers_of(shape: ModelShape, precision: Precision) -> int:
    """The budget of a search: the paper's multipliers; as many slices, if candidates are ranked for users."""
    return MULTIPLIERS[precision] * (PER_SLICE[precision] if shape.user else 1)


def resources(arrays: tuple[Array, ...], rows: tuple[int, ...], *, precision: Precision, board: Board) -> Resources:
    """What `arrays`, with `rows` words of weights in each PE, take of `board`.

    Every PE of an array splits its word alike: columns of 72 bits lie in BRAM while there is room, then in URAM
    (Vivado's ``ram_style = "mixed"`` does the same).
    """
    bram, uram = 0, 0
    for array, depth in zip(arrays, rows, strict=True):
        columns = math.ceil(array.lanes * precision.width / MEMORY_BITS)
        per_column = array.pes * math.ceil((depth + 1) / BRAM_ROWS)  # one spare row takes the writes of idle loads
        in_bram = min(columns, int(board.bram36 * WEIGHT_SHARE - bram) // per_column)
        bram += in_bram * per_column
        uram += (columns - in_bram) * array.pes * math.ceil((depth + 1) / URAM_ROWS)
    multipliers = sum(array.pes * array.lanes for array in arrays)
    shared = multipliers // PER_SLICE[precision]
    output = arrays[-1].drain if arrays else 16
    requantisers = (sum(array.requantised for array in arrays) + 1) * DSP_PER_REQUANTISER[precision]
    return Resources(
        multipliers=multipliers,
        dsp=(shared + output) * DSP_PER_MULTIPLIER[precision] + requantisers,
        requantiser_dsp=requantisers,
        output_multipliers=output,
        bram36=bram,
        uram=uram,
    )


def words_out(layer: Layer, *, pes: int, drain: int) -> int:
    """Words of `drain` lanes in which a layer's outputs leave an array; `layout` has the order."""
    rounds, (full, leftover) = math.ceil(layer.outputs / pes), divmod(pes, drain)
    last = layer.outputs - (rounds - 1) * pes
    words = (rounds - 1) * full + min(full, math.ceil(last / drain))
    if leftover:
        gathering = rounds if last > full * drain else rounds - 1
        words += math.ceil(gathering / (drain // leftover))
    return words


class Scheduled(typing.NamedTuple):
    """Layers in turn on one array.

    Members
    -------
    cycles : per item, and rows of weights in each PE: one row per cycle
    fits : no round waits for the one before to leave the array
    words : of the last layer's output
    """

    cycles: int
    fits: bool
    words: int


def schedule(
    layers: tuple[Layer, ...], words: int, *, pes: int, drain: int, joined: tuple[int, int] = (0, 0)
) -> Scheduled:
    """How `layers` run on an array of `pes` PEs that `drain` outputs leave at once.

    Parameters
    ----------
    words : of the first layer's input
    joined : (number in `layers`, words): what a layer reads in front of the outputs of the one before it
    """
    cycles, fewest, overlaps = 0, words, joined[0] > 0
    leaving: list[tuple[int, int]] = []  # per layer, steps of a round and of the last one's drain
    fits = True
    for number, layer in enumerate(layers):
        words += joined[1] if overlaps and number == joined[0] else 0
        rounds, fewest = math.ceil(layer.outputs / pes), min(fewest, words)
        last = math.ceil((layer.outputs - (rounds - 1) * pes) / drain)
        if rounds > 1 and pes % drain:  # what was gathered may leave behind a short round
            last = min(last + 1, math.ceil(pes / drain))
        leaving.append((words, last))
        fits = fits and (rounds == 1 or math.ceil(pes / drain) <= words)
        cycles += rounds * words
        words = words_out(layer, pes=pes, drain=drain)
    if overlaps:  # a round waits for the drain before it; otherwise every round for the longest one
        fits = fits and all(leaving[k - 1][1] <= steps for k, (steps, _) in enumerate(leaving))
    else:
        fits = math.ceil(min(pes, max(layer.outputs for layer in layers)) / drain) <= fewest
    return Scheduled(cycles=cycles, fits=fits, words=words)

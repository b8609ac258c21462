"""Arrays from their label, as `Arrangement.label` writes it."""

import re

from microduet import search
from microduet.boards import Board
from microduet.budget import OUTPUT_LANES
from microduet.errors import SearchError
from microduet.shape import ModelShape
from microduet_hw.config import Array, Precision

ARRAY = re.compile(r"(\d+)x(\d+)\[(\d+(?:,\d+)*)\](?:/(\d+))?")
FORM = "PESxLANES[LAYER,...] with an optional /DRAIN, joined by +, like 256x18[0,1,2] or 128x16[0] + 64x16[1,2]"


def check_label(label: str) -> None:
    """Raise SearchError unless `label` has the form of one."""
    if not all(ARRAY.fullmatch(part.strip()) for part in label.split("+")):
        raise SearchError(f"arrays must be {FORM}, not {label!r}")


def parse(label: str, *, shape: ModelShape, precision: Precision, board: Board) -> tuple[Array, ...]:
    """The arrays of `label`, each drained by as many lanes as the next one takes.

    The last one, if it computes one layer, has the drain of the search's that costs the fewest cycles.

    Raises
    ------
    SearchError
        If `label` is of another form, or its layers are not those of `shape`, each once and in order.
    """
    check_label(label)
    found = [ARRAY.fullmatch(part.strip()) for part in label.split("+")]
    parts = [(int(m[1]), int(m[2]), tuple(map(int, m[3].split(","))), m[4]) for m in found if m]
    layers = tuple(layer for part in parts for layer in part[2])
    if layers != tuple(range(len(shape.hidden))):
        raise SearchError(f"arrays of {shape.name} must compute layers 0 to {len(shape.hidden) - 1} in order: {label}")
    followers = [part[1] for part in parts[1:]]
    _, lanes, last, drain = parts[-1]
    choices = (int(drain),) if drain else (lanes,) if len(last) > 1 else (*search.OUTPUT_DRAINS,)
    tried: list[search.Arrangement] = []
    try:
        for choice in choices:
            drains = [int(part[3] or after) for part, after in zip(parts, [*followers, choice], strict=True)]
            arrays = tuple(
                Array(pes=pes, lanes=lanes, drain=drain, layers=layers)
                for (pes, lanes, layers, _), drain in zip(parts, drains, strict=True)
            )
            tried.append(search.weigh(shape, arrays, precision=precision, board=board))
    except ValueError as error:
        raise SearchError(f"arrays {label}: {error}") from error
    if choices[0] > OUTPUT_LANES and not drain:
        raise SearchError(f"arrays {label}: the output layer takes at most {OUTPUT_LANES} lanes, not {choices[0]}")
    best = min(tried, key=lambda one: (one.cycles, one.latency, one.arrays[-1].drain))
    if not best.resources.fit(board):
        raise SearchError(
            f"arrays {label}: {best.resources.dsp} DSP, {best.resources.bram36} BRAM36 and {best.resources.uram} URAM "
            f"do not fit {board.name}"
        )
    return best.arrays

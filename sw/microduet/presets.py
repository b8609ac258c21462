"""Named arrangements of arrays, and what stands between a shape and a whole configuration."""

import math

from microduet import boards, placement, search
from microduet.budget import OUTPUT_LANES, PER_SLICE, multipliers_of
from microduet.errors import SearchError
from microduet.planner.make import make
from microduet.shape import ModelShape
from microduet_hw.config import CHECK_BITS, CHECKSUM_BITS, Array, EngineConfig, Frozen, Precision, UserPart
from microduet_hw.places import busiest

PAPER = "microrec-paper"
NAMES = ("default", PAPER)
PAPER_PES = (128, 128, 32)
PAPER_LANES = {Precision.FIXED16: 16, Precision.FIXED32: 8, Precision.INT8: 16}
"""Multipliers of one of the paper's PEs."""
MANY_SLOTS, MOST_SLOTS = 8, 32
"""Items in flight in an engine whose lookups last long beside its arithmetic: of few layers, or of spread tables."""
MORE_SLOTS = 16
"""The same in one that ranks for users and takes at most `search.FASTEST` cycles per item."""
USER_LANES = (32, 64)
"""Elements of a user vector per cycle that are tried where its part has many sums."""
SPREAD_LOOKUPS = 128
"""Of these items' lookups each channel has about so many, or the unluckiest one holds all others up: of n random ones
over 32 channels it has some n / 32 and twice the root of that."""
SPREAD_OUTSTANDING = 64
"""Reads per channel in flight in an engine whose tables are spread over all channels."""
PAPER_DRAIN = 16
"""Lanes of the output layer behind the paper's arrays."""


class Tuning(Frozen, frozen=True, kw_only=True):
    """What is said of an engine beyond model, precision and board; None leaves it to the search and the defaults.

    Members
    -------
    arrays : in the place of the search's
    multipliers : the search's budget
    engine_mhz, memory_mhz : clocks
    row_check : whether every row in a memory channel ends in a check word, and every word of an on-chip bank has one,
        so that a changed bit or a row of another address is found: a beat more per read, and twice the room in memory,
        where a row fills its beats
    weight_check : whether `Device.check_weights` can find bits that have changed in weights since they were loaded
    """

    arrays: tuple[Array, ...] | None = None
    multipliers: int | None = None
    engine_mhz: int | None = None
    memory_mhz: int | None = None
    row_check: bool = False
    weight_check: bool = False

    @property
    def fields(self) -> dict[str, int]:
        """What is given, by its name in a configuration: clocks, and whether rows and weights are checked."""
        given = {"engine_mhz": self.engine_mhz, "memory_mhz": self.memory_mhz}
        given["check_bits"] = CHECK_BITS if self.row_check else None
        given["checksum_bits"] = CHECKSUM_BITS if self.weight_check else None
        return {name: value for name, value in given.items() if value is not None}


AS_USUAL = Tuning()


def paper_arrays(shape: ModelShape, precision: Precision) -> tuple[Array, ...]:
    """MicroRec's own arrangement: one array per hidden layer, of 128, 128 and 32 PEs."""
    if len(shape.hidden) != len(PAPER_PES):
        raise SearchError(f"{PAPER} has {len(PAPER_PES)} hidden layers, {shape.name} has {len(shape.hidden)}")
    lanes = PAPER_LANES[precision]
    drains = (lanes, lanes, PAPER_DRAIN)
    return tuple(
        Array(pes=pes, lanes=lanes, drain=drain, layers=(number,))
        for number, (pes, drain) in enumerate(zip(PAPER_PES, drains, strict=True))
    )


def choose(
    shape: ModelShape, *, precision: Precision, board: boards.Board, name: str | None, tuning: Tuning = AS_USUAL
) -> search.SearchResult:
    """The arrangement called `name` (None or "default": the given arrays, or the search's under the given budget)."""
    usual = name in (None, "default")
    if usual and tuning.arrays is None:
        return search.search(shape, precision=precision, board=board, budget=tuning.multipliers)
    if not usual and name != PAPER:
        raise SearchError(f"config must be {' or '.join(NAMES)}, not {name!r}")
    arrays = (usual and tuning.arrays) or paper_arrays(shape, precision)
    arrangement = search.weigh(shape, arrays, precision=precision, board=board)
    budget = arrangement.resources.multipliers
    return search.SearchResult(best=(arrangement,), limit=shape.macs / budget, budget=budget)


def engine_config(
    shape: ModelShape,
    *,
    precision: Precision,
    arrays: tuple[Array, ...],
    plan: placement.Plan,
    name: str | None = None,
    budget: int | None = None,
) -> EngineConfig:
    """The configuration of `shape` computed by `arrays` with tables placed by `plan`, of at most `budget` multipliers.

    In an engine of spread tables more items and reads are in flight, for each item waits for the slowest channel (RM1's
    items: 17.4 memory cycles with 32, 19.0 with 16, 29 with 8); in one that ranks for users more items, for little is
    left to compute, and most where least is (RM3: 5.0 cycles per item instead of 6.3).
    """
    config = EngineConfig(
        name=name or f"{shape.name}-{precision}",
        precision=precision,
        features=shape.features,
        dense=shape.dense,
        dense_position=0 if shape.bottom else shape.dense_position,
        sources=plan.sources,
        hidden=shape.hidden,
        output=shape.output,
        arrays=arrays,
        sigmoid=shape.sigmoid,
        bottom=shape.bottom,
        user=_user(shape, arrays, budget=budget or multipliers_of(shape, precision), precision=precision),
    )
    if config.spread:
        return config.replace(outstanding=SPREAD_OUTSTANDING, vector_slots=_spread_slots(config))
    if config.user is None:
        return config
    return config.replace(vector_slots=MORE_SLOTS if busiest(config) <= search.FASTEST else MANY_SLOTS)


def _spread_slots(config: EngineConfig) -> int:
    """A power of two."""
    items = math.ceil(SPREAD_LOOKUPS * (1 << config.spread) / config.lookups)
    return min(MOST_SLOTS, max(MANY_SLOTS, 1 << (items - 1).bit_length()))


def _user(shape: ModelShape, arrays: tuple[Array, ...], *, budget: int, precision: Precision) -> UserPart | None:
    """How user vectors are taken in: a hidden layer's part, on which all items wait, with what multipliers are left."""
    user = shape.user_part
    if user is None or not user.multipliers or user.layer == len(shape.hidden):
        return user
    per_slice = PER_SLICE[precision]
    taken = sum(array.pes * array.lanes for array in arrays)
    left = (budget - taken) // per_slice + OUTPUT_LANES - arrays[-1].drain
    return user.replace(lanes=max([user.lanes, *(lanes for lanes in USER_LANES if lanes <= left)]))


def compile_config(
    shape: ModelShape,
    *,
    board: str = "u280",
    precision: Precision | str = Precision.FIXED16,
    config: str | None = None,
    mode: str = "best",
) -> EngineConfig:
    """Place the tables of `shape` and choose its arrays: the configuration, before any weight is known.

    Parameters
    ----------
    shape : of a zoo model (``zoo.find(name).shape``) or of a traced one
    board : "u280" or "u55c"
    config : None for the search's choice, or the name of a preset
    mode : of the planner

    Raises
    ------
    PlacementError, SearchError
        If a table or the weights do not fit the card.
    """
    precision = Precision(precision)
    card = boards.find(board)
    plan = make(shape, precision=precision, board=card, mode=mode).plan
    chosen = choose(shape, precision=precision, board=card, name=config).chosen
    suffix = "" if config in (None, "default") else f"-{config}"
    return engine_config(
        shape, precision=precision, arrays=chosen.arrays, plan=plan, name=f"{shape.name}-{precision}{suffix}"
    )

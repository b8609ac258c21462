"""Chooses how many processing elements of how many lanes compute which layers.

Cycles per item are those of the slowest array; of arrangements within 2 % of the fewest, the one that sends on the
items that wait for a user fastest wins, then the one with the shortest idle latency, then with the fewest memories.
The search walks contiguous ranges of layers, lanes and PEs and cuts every branch whose remaining layers could not
finish in time even if each remaining multiplier worked in every cycle.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator

from microduet import timing
from microduet.boards import Board
from microduet.budget import OUTPUT_LANES, PER_SLICE, Resources, multipliers_of, resources, schedule
from microduet.errors import SearchError
from microduet.shape import ModelShape
from microduet_hw.config import Array, Precision

MAX_LANES, MAX_PES, MAX_ARRAYS = 96, 2048, 4
SLACKS = (1.0, 1.005, 1.01, 1.02, 1.04, 1.08, 1.16, 1.3, 1.6, 2.0, 3.0, 6.0, 16.0)
"""Multiples of the lower bound that are tried in turn, so that branches are cut early."""
FASTEST = 8.0
"""Cycles per item below which nothing is gained: an item's packet and its crossing take as long."""
FASTEST_ITEM = 1.0
"""The same of items of a query, of which a user waits for hundreds at a time."""
TOLERANCE = 1.02
"""Cycles per item within which latency decides."""
OUTPUT_DRAINS = (8, 16, OUTPUT_LANES)
"""Lanes of the output layer that are tried behind an array of one layer."""
FINALISTS = 48
"""Arrangements whose schedule is walked cycle by cycle."""
LEAVES = 12000
"""Arrangements looked at per slack."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrangement:
    """One legal way to compute a model's hidden layers."""

    arrays: tuple[Array, ...]
    cycles: int
    """Engine cycles per item."""
    behind: int
    """Of these, what lies behind users, if they enter between two layers: its cycles per waiting item; otherwise 0."""
    latency: int
    """Estimated engine cycles of one item in an idle engine."""
    use: float
    """Part of the multipliers' cycles that compute a product of the model."""
    resources: Resources

    @property
    def label(self) -> str:
        """Like ``256x18[0,1,2]``: PEs x lanes, layers."""
        return label(self.arrays)


def label(arrays: tuple[Array, ...]) -> str:
    """Like ``256x18[0,1,2] + 64x8[3]``: PEs x lanes, layers."""
    return " + ".join(f"{a.pes}x{a.lanes}[{','.join(map(str, a.layers))}]" for a in arrays) or "output layer only"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The best arrangements, best first, and the least number of cycles that the budget allows."""

    best: tuple[Arrangement, ...]
    limit: float
    budget: int

    @property
    def chosen(self) -> Arrangement:
        """The winner."""
        return self.best[0]


def search(shape: ModelShape, *, precision: Precision, board: Board, budget: int | None = None) -> SearchResult:
    """The best arrangements of `shape` under a budget of multipliers (default: the paper's) and the card's memories.

    Raises
    ------
    SearchError
        If none fits the card.
    """
    budget = budget or multipliers_of(shape, precision)
    if not shape.hidden:
        return SearchResult(best=(weigh(shape, (), precision=precision, board=board),), limit=0.0, budget=budget)
    least = _fastest(shape)
    found = _enumerate(shape, budget, precision=precision, board=board)
    found.sort(key=lambda p: (p[0], _behind(shape, p[1]), len(p[1]), p[1][0].pes * p[1][0].lanes))
    if not found:
        raise SearchError(
            f"{shape.name}: no arrangement of at most {budget} multipliers holds the weights on {board.name} "
            f"({board.bram36} BRAM36, {board.uram} URAM, {shape.macs} weights)"
        )
    legal = [weigh(shape, arrays, precision=precision, board=board) for _, arrays in found[:FINALISTS]]
    fewest = max(least, min(a.cycles for a in legal))
    legal.sort(
        key=lambda a: (a.cycles > fewest * TOLERANCE, a.behind, a.latency, a.cycles, a.resources.bram36, a.label)
    )
    return SearchResult(best=tuple(legal), limit=shape.macs / budget, budget=budget)


def weigh(shape: ModelShape, arrays: tuple[Array, ...], *, precision: Precision, board: Board) -> Arrangement:
    """Cycles, latency and resources of one arrangement, chosen here or given."""
    rows, words = _rows(shape, arrays)
    taken = resources(arrays, rows, precision=precision, board=board)

    def estimate() -> timing.Estimate:
        return timing.Estimate(shape, arrays=arrays, precision=precision)

    cycles = max(estimate().cycles_per_item(), words, *rows)
    return Arrangement(
        arrays=arrays,
        cycles=cycles,
        behind=_behind(shape, arrays),
        latency=estimate().idle_latency(),
        use=shape.macs / (cycles * taken.multipliers) if arrays else 0.0,
        resources=taken,
    )


def _rows(shape: ModelShape, arrays: tuple[Array, ...]) -> tuple[tuple[int, ...], int]:
    """Words of weights in each array's PEs, and words of the output layer's input."""
    lanes = arrays[0].lanes if arrays else 16
    words, joined = timing.first_words(shape, lanes), timing.joined_words(shape, lanes)
    rows: list[int] = []
    for array in arrays:
        layers = tuple(shape.hidden[number] for number in array.layers)
        depth, _, words = schedule(layers, words, pes=array.pes, drain=array.drain, joined=joined)
        rows.append(depth)
        joined = (0, 0)
    return tuple(rows), words


def _behind(shape: ModelShape, arrays: tuple[Array, ...]) -> int:
    """Cycles per item of the arrays and the output layer behind users who enter between two hidden layers, or 0."""
    if shape.user is None or not 0 < shape.user.layer < len(shape.hidden):
        return 0
    rows, words = _rows(shape, arrays)
    return max(
        words, *(depth for array, depth in zip(arrays, rows, strict=True) if array.layers[0] >= shape.user.layer)
    )


def _enumerate(
    shape: ModelShape, budget: int, *, precision: Precision, board: Board
) -> list[tuple[int, tuple[Array, ...]]]:
    """(cycles, arrays) of arrangements near the best that fit the card."""
    bound = max(_fastest(shape), shape.macs / min(budget, _useful(shape)))
    found: list[tuple[int, tuple[Array, ...]]] = []
    for slack in SLACKS:
        if bound * slack > TOLERANCE * min((cycles for cycles, _ in found), default=math.inf):
            break
        found = []
        splits = _splits(shape)
        for groups in splits:
            walk = _Walk(
                shape=shape, groups=groups, budget=budget, limit=math.floor(bound * slack), precision=precision
            )
            found += (
                (cycles, arrays)
                for cycles, arrays in itertools.islice(walk.run(), LEAVES // len(splits))
                if resources(arrays, _rows(shape, arrays)[0], precision=precision, board=board).fit(board)
            )
    return found


def _useful(shape: ModelShape) -> int:
    """Multipliers that the widest layer could keep busy."""
    return max(layer.inputs * layer.outputs for layer in shape.hidden)


def _fastest(shape: ModelShape) -> float:
    """Cycles per item below which nothing is gained."""
    return FASTEST if shape.user is None else FASTEST_ITEM


def _splits(shape: ModelShape) -> list[tuple[tuple[int, ...], ...]]:
    """Every way to cut the layers into at most MAX_ARRAYS ranges, the fewest first; one range has a bottom MLP and what
    joins it, one begins where users come in."""
    layers = len(shape.hidden)
    forced = {shape.user.layer} & set(range(1, layers)) if shape.user else set[int]()
    result: list[tuple[tuple[int, ...], ...]] = []
    for cuts in range(min(layers, MAX_ARRAYS)):
        for places in itertools.combinations(range(shape.bottom + 1, layers), cuts):
            edges = (0, *places, layers)
            if forced <= set(places):
                result.append(tuple(tuple(range(a, b)) for a, b in itertools.pairwise(edges)))
    return result


@dataclasses.dataclass(kw_only=True)
class _Walk:
    """Depth-first walk over one split of the layers."""

    shape: ModelShape
    groups: tuple[tuple[int, ...], ...]
    budget: int
    limit: int
    precision: Precision

    def __post_init__(self) -> None:
        macs = [sum(self._macs(number) for number in group) for group in self.groups]
        self._least = [math.ceil(total / self.limit) for total in macs]
        user = self.shape.user_part
        self._alone = PER_SLICE[self.precision] if user else 1  # what a multiplier outside the arrays takes
        self._all = self.budget + self._alone * (OUTPUT_LANES - (user.multipliers if user else 0))
        if user:  # one limit for arrays, output layer and user part together
            self.budget = self._all - self._alone * min(OUTPUT_DRAINS)

    def _macs(self, number: int) -> int:
        layer = self.shape.hidden[number]
        return layer.inputs * layer.outputs

    def run(self) -> Iterator[tuple[int, tuple[Array, ...]]]:
        """Arrangements of at most `limit` cycles."""
        for lanes in range(1, min(MAX_LANES, self.shape.hidden[0].inputs) + 1):
            words = timing.first_words(self.shape, lanes)
            yield from self._arrays(_Branch(lanes=lanes, words=words, budget=self.budget))

    def _arrays(self, branch: "_Branch") -> Iterator[tuple[int, tuple[Array, ...]]]:
        place, lanes = len(branch.arrays), branch.lanes
        if place == len(self.groups):
            used = self.budget - branch.budget + self._alone * branch.lanes
            if branch.words <= self.limit and used <= self._all:
                yield max(branch.cycles, branch.words), branch.arrays
            return
        layers = tuple(self.shape.hidden[number] for number in self.groups[place])
        widest = max(layer.outputs for layer in layers)
        rest = branch.budget - sum(self._least[place + 1 :])
        most = min(rest // lanes, widest + widest % 2, MAX_PES)
        joined = (0, 0) if place else timing.joined_words(self.shape, lanes)
        for pes in range(max(2, math.ceil(self._least[place] / lanes / 2) * 2), most + 1, 2):
            for drain in self._drains(place, lanes):
                taken, fits, words = schedule(layers, branch.words, pes=pes, drain=drain, joined=joined)
                cycles = max(branch.cycles, taken)
                if cycles <= self.limit and fits:
                    arrays = (*branch.arrays, Array(pes=pes, lanes=lanes, drain=drain, layers=self.groups[place]))
                    budget = branch.budget - pes * lanes
                    after = _Branch(lanes=drain, words=words, budget=budget, cycles=cycles, arrays=arrays)
                    yield from self._arrays(after)

    def _drains(self, place: int, lanes: int) -> tuple[int, ...]:
        """Outputs per cycle that may leave the array: the lanes of its consumers."""
        last = place == len(self.groups) - 1
        if len(self.groups[place]) > 1:
            return (lanes,) if not last or lanes <= OUTPUT_LANES else ()
        return self._outputs() if last else tuple(range(1, MAX_LANES + 1))

    def _outputs(self) -> tuple[int, ...]:
        """Lanes of the output layer; where users enter between layers, also those that take an item in few cycles."""
        user, layers = self.shape.user, len(self.shape.hidden)
        if user is None or not 0 < user.layer < layers:
            return OUTPUT_DRAINS
        few = {math.ceil(self.shape.output.inputs / words) for words in (1, 2)}
        return (*OUTPUT_DRAINS, *(lanes for lanes in sorted(few) if OUTPUT_LANES < lanes <= MAX_LANES))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Branch:
    """Arrays chosen so far, and what reaches the next one."""

    lanes: int
    words: int
    budget: int
    cycles: int = 0
    arrays: tuple[Array, ...] = ()

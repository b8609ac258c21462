"""From a solution in numbers to a plan: which table takes which option, and where each piece lies."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence

from microduet.boards import Channel
from microduet.placement import Plan, PlannedSource
from microduet.planner import pieces
from microduet.planner.options import Choices, Kind, Option
from microduet.planner.physical import factors, physical_shape
from microduet.planner.pieces import Piece
from microduet.planner.solution import Seat, Solution, bank_ps
from microduet.shape import ModelShape
from microduet_hw.config import Feature, SourceKind


def realise(shape: ModelShape, choices: Choices, solution: Solution, *, mode: str) -> Plan:
    """The plan of `solution`: equal tables are taken in the order of features."""
    chosen = _choose(choices, solution)
    products = tuple(sorted((first, second) for first, *more in chosen for second in more))
    numbers = {members: number for number, members in enumerate(factors(shape, products))}
    tables = physical_shape(shape, products).features
    ordered = sorted(((numbers[members], option) for members, option in chosen.items()), key=lambda pair: pair[0])
    return Plan(
        model=shape.name,
        board=choices.board.name,
        precision=choices.precision,
        mode=mode,
        products=products,
        planned=(*_channels(choices, solution, ordered, tables), *_banks(choices, solution, ordered, tables)),
    )


def _choose(choices: Choices, solution: Solution) -> dict[tuple[int, ...], Option]:
    """The option of every physical table, which is called by its features."""
    left = {k: deque(of.features) for k, of in enumerate(choices.classes) if of.factors is None}
    chosen: dict[tuple[int, ...], Option] = {}
    for (number, option), count in sorted(solution.tables.items()):
        for _ in range(count):
            of = choices.classes[number]
            members = tuple(left[k].popleft() for k in (of.factors or (number,)))
            chosen[members] = choices.options[number][option]
    return chosen


def _channels(
    choices: Choices, solution: Solution, ordered: Sequence[tuple[int, Option]], tables: Sequence[Feature]
) -> Iterator[PlannedSource]:
    contents: dict[Seat, list[Piece]] = defaultdict(list)
    left = {seat: Counter(held) for seat, held in solution.pieces.items()}
    for number, option in ordered:
        if option.kind is not None:
            split = _split(number, option, tables, choices)
            for piece, seat in zip(split, _places(option.kind, left), strict=True):
                contents[seat].append(piece)
    free = [deque(group.channels) for group in choices.groups]
    for seat in sorted(contents, key=lambda seat: (seat.group, -seat.gang, seat.number)):
        channels = [free[seat.group].popleft() for _ in range(seat.gang)]
        copies = [pieces.replicas(piece, tables[piece.table].lookups, seat.gang) for piece in contents[seat]]
        for channel, held in zip(channels, zip(*copies, strict=True), strict=True):
            source = pieces.place(channel, held, tables=tables, precision=choices.precision)
            assert source is not None, f"{channel.name} has no room for what was planned for it"
            yield source


def _split(number: int, option: Option, tables: Sequence[Feature], choices: Choices) -> list[Piece]:
    columns = pieces.column_pieces(number, tables[number], option.columns, choices.precision)
    return [piece for column in columns for piece in pieces.row_pieces(column, option.step_log2)]


def _places(kind: Kind, left: dict[Seat, Counter[Kind]]) -> list[Seat]:
    """Seats for the pieces of one table: those with the most of the kind to come, so that none is left twice."""
    seats = [seat for seat, held in left.items() if held[kind]]
    seats.sort(key=lambda seat: (-left[seat][kind], seat.number))
    for seat in seats[: kind.pieces]:
        left[seat][kind] -= 1
    return seats[: kind.pieces]


def _banks(
    choices: Choices, solution: Solution, ordered: Sequence[tuple[int, Option]], tables: Sequence[Feature]
) -> Iterator[PlannedSource]:
    waiting: dict[int, deque[Piece]] = defaultdict(deque)
    for number, option in ordered:
        if option.kind is None:
            waiting[option.beats].append(pieces.whole(number, tables[number], choices.precision))
    for name, bank in enumerate(sorted(solution.banks, key=bank_ps, reverse=True)):
        held = [waiting[beats].popleft() for beats, count in sorted(bank.items()) for _ in range(count)]
        channel = Channel(name=f"onchip{name}", kind=SourceKind.ONCHIP, size=1 << 34)
        parts = pieces.one_after_another(held)
        yield pieces.planned(channel, parts, tables=tables, precision=choices.precision)

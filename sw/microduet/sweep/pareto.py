"""Which points no other point beats."""

from collections.abc import Sequence

from microduet.sweep.results import Row

Costs = tuple[float, ...]

NAMES = ("cycles", "dsp", "bram36", "lookup_ns")


def front(costs: Sequence[Costs]) -> list[int]:
    """Places of those that no other one equals or betters in everything, being better in something; in order.

    Of equal ones all are in it.
    """
    return [place for place, one in enumerate(costs) if not any(_beats(other, one) for other in costs)]


def _beats(other: Costs, one: Costs) -> bool:
    return other != one and all(a <= b for a, b in zip(other, one, strict=True))


def costs(row: Row) -> Costs:
    """Cycles, DSP slices, BRAM36 and nanoseconds of a lookup; 0 for a lookup that was not measured."""
    figures = row.outcome.figures
    assert figures is not None, "the caller has a finished point"
    return (figures.cycles, figures.dsp, figures.bram36, figures.lookup_ns or 0.0)


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Finished rows that can be compared: those of one model and, of queries, one number of candidates."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        point = row.point
        if row.done:
            size = f", {point.n} candidates" if point.measure == "query" else ""
            found.setdefault(f"{point.model}{size}", []).append(row)
    return found


def best(rows: Sequence[Row]) -> list[Row]:
    """The front of `rows`, which can be compared, the fewest cycles first."""
    found = [rows[place] for place in front([costs(row) for row in rows])]
    return sorted(found, key=costs)

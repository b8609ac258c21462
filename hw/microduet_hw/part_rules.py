"""Where parts of tables may lie, what they must serve together, and which sources are partners."""

import itertools
from collections import defaultdict
from collections.abc import Sequence

from microduet_hw.config import EngineConfig, Feature, Part, Source, SourceKind


def require(rule: bool, message: str) -> None:
    """Raise ValueError(message) unless `rule` holds."""
    if not rule:
        raise ValueError(message)


def check_parts(config: EngineConfig) -> None:
    """Raise ValueError, naming the rule, if a part, a feature, a source or a group of partners breaks one."""
    by_feature: dict[int, list[Part]] = defaultdict(list)
    for number, source in enumerate(config.sources):
        for part in source.parts:
            require(0 <= part.feature < len(config.features), f"no feature {part.feature}")
            _check_part(part, config.features[part.feature], name=f"a part of feature {part.feature}")
            by_feature[part.feature].append(part)
        _check_source(source, name=f"source {number}")
    for number, feature in enumerate(config.features):
        parts = by_feature[number]
        served = sum(len(part.served(feature)) * part.rows * part.columns for part in parts)
        require(
            served == feature.lookups * feature.rows * feature.dim
            and not any(_both_serve(feature, a, b) for a, b in itertools.combinations(parts, 2)),
            f"feature {number}: every row and column must be stored exactly once for each lookup",
        )
    for group in partners(config):
        _check_partners(config, group)


def partners(config: EngineConfig) -> tuple[tuple[int, ...], ...]:
    """Sources by groups that share sums, each in ascending order, ordered by their first members.

    Two sources share sums if they serve the same column of a feature with several lookups; all do if tables are spread.
    """
    if spread(config):
        return (tuple(range(len(config.sources))),)
    group = list(range(len(config.sources)))
    shared: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for number, source in enumerate(config.sources):
        for part in source.parts:
            if config.features[part.feature].lookups > 1:
                shared[part.feature].append((part.column_first, part.column_first + part.columns, number))
    for places in shared.values():
        reach, before = 0, 0
        for first, end, number in sorted(places):
            if first < reach and group[number] != group[before]:
                group = [group[number] if of == group[before] else of for of in group]
            reach, before = max(reach, end), number
    members: dict[int, list[int]] = defaultdict(list)
    for number, of in enumerate(group):
        members[of].append(number)
    return tuple(sorted(tuple(sources) for sources in members.values()))


def spread(config: EngineConfig) -> int:
    """n if every feature lies over all of 2^n memory channels, row i in channel i mod 2^n; otherwise 0."""
    bits = (len(config.sources) - 1).bit_length()
    whole = len(config.channels) == len(config.sources) == 1 << bits
    even = all(
        [(part.feature, part.row_first, part.row_step_log2, part.columns, part.lookups) for part in in_order(source)]
        == [(number, place, bits, feature.dim, None) for number, feature in enumerate(config.features)]
        for place, source in enumerate(config.sources)
    )
    return bits if whole and even else 0


def in_order(source: Source) -> list[Part]:
    """The source's parts in the order in which it serves them: by feature, that is as indices come."""
    return sorted(source.parts, key=lambda part: part.feature)


def _check_part(part: Part, feature: Feature, *, name: str) -> None:
    for field in ("row_step_log2", "base", "stride_log2", "hole_log2", "hole_bits"):
        require(getattr(part, field) >= 0, f"{name}: {field} must be at least 0, not {getattr(part, field)}")
    rows, lookups, columns = part.row_numbers, part.served(feature), _columns(part)
    require(
        all(
            taken and taken[0] >= 0 and taken[-1] < size
            for taken, size in ((rows, feature.rows), (columns, feature.dim))
        ),
        f"a part leaves the table of feature {part.feature}",
    )
    require(
        len(lookups) > 0 and lookups[0] >= 0 and lookups[-1] < feature.lookups,
        f"{name} must serve some of its {feature.lookups} lookups, not {lookups.start} to {lookups.stop - 1}",
    )
    step, chunk = 1 << part.row_step_log2, 1 << part.hole_log2
    require(
        step == 1 or part.row_first < step,
        f"{name} that holds every {step}th row must begin with one of the first {step}, not row {part.row_first}",
    )
    if part.hole_bits:
        require(
            part.base % chunk == 0 and 1 << part.stride_log2 <= chunk,
            f"{name} with a hole at bit {part.hole_log2} must have a base of whole 2^{part.hole_log2} bytes and no "
            f"longer stride, not {part.base} and {1 << part.stride_log2}",
        )
        require(
            part.row_first < step,
            f"{name} with a hole must begin with one of its table's first {step} rows, not row {part.row_first}",
        )


def _check_source(source: Source, *, name: str) -> None:
    holes = any(part.hole_bits for part in source.parts)
    require(not (holes and source.kind is SourceKind.ONCHIP), f"{name}: parts of an on-chip bank have no holes")
    open_parts: list[Part] = []
    for part in sorted(source.parts, key=lambda part: (part.base, part.feature)):
        open_parts = [other for other in open_parts if other.end > part.base]
        for other in open_parts:
            require(
                not overlap(other, part),
                f"{name}: a part of feature {other.feature} and one of feature {part.feature} share bytes",
            )
        open_parts.append(part)


def _check_partners(config: EngineConfig, group: Sequence[int]) -> None:
    first, *others = group
    lists = {
        number: [(part.feature, part.column_first, part.columns) for part in in_order(config.sources[number])]
        for number in group
    }
    for other in others:
        require(
            lists[other] == lists[first],
            f"sources {first} and {other} share sums and must serve the same (feature, first column, columns) in the "
            f"same order, not {lists[first]} and {lists[other]}",
        )


def _both_serve(feature: Feature, a: Part, b: Part) -> bool:
    """Whether two parts both hold some row and column for some lookup."""
    return _common(a.served(feature), b.served(feature)) and _common(_columns(a), _columns(b)) and _rows_meet(a, b)


def _columns(part: Part) -> range:
    return range(part.column_first, part.column_first + part.columns)


def _common(a: range, b: range) -> bool:
    """Whether two ranges of step 1 have a number in common."""
    return max(a.start, b.start) < min(a.stop, b.stop)


def _rows_meet(a: Part, b: Part) -> bool:
    """Whether two parts hold a row in common: steps are powers of two, so that every longer one is whole shorter."""
    fine, coarse = sorted((a.row_numbers, b.row_numbers), key=lambda rows: rows.step)
    if (coarse.start - fine.start) % fine.step:
        return False
    # From here on every row of `coarse` that lies between the ends of `fine` is one of `fine`.
    first = max(0, -((coarse.start - fine.start) // coarse.step))
    return first < len(coarse) and coarse[first] <= fine[-1]


def overlap(a: Part, b: Part) -> bool:
    """Whether two parts of one source have a byte in common: exact, in a few steps however long they are.

    A part with a hole is chunks of 2^hole_log2 bytes, one per period of 2^(hole_log2 + hole_bits); periods are powers
    of two. So all chunks of the part with the longer period lie alike to the other's, but those that reach over the
    other's ends and its own last one.
    """
    if not (a.hole_bits and b.hole_bits):
        whole, other = (b, a) if a.hole_bits else (a, b)
        return _bytes_below(other, whole.end) > _bytes_below(other, whole.base)
    fine, coarse = sorted((a, b), key=lambda part: part.hole_log2 + part.hole_bits)
    period = 1 << coarse.hole_log2 + coarse.hole_bits
    chunks = -(-(coarse.rows << coarse.stride_log2) >> coarse.hole_log2)
    ends = ((fine.base - coarse.base) // period, (fine.end - 1 - coarse.base) // period)
    chosen = {0, chunks - 2, chunks - 1, *(number + near for number in ends for near in (-1, 0, 1))}
    return any(
        _bytes_below(fine, min(start + (1 << coarse.hole_log2), coarse.end)) > _bytes_below(fine, start)
        for start in (coarse.base + number * period for number in chosen if 0 <= number < chunks)
    )


def _bytes_below(part: Part, address: int) -> int:
    """How many bytes of `part` lie below `address`."""
    periods, rest = divmod(max(0, address - part.base), 1 << part.hole_log2 + part.hole_bits)
    return min(part.rows << part.stride_log2, (periods << part.hole_log2) + min(rest, 1 << part.hole_log2))

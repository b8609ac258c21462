"""Parts of tables: what they hold, where it lies, which rules they keep, and who is whose partner."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from microduet_hw.config import EngineConfig, Feature, Layer, Part, Source, SourceKind
from microduet_hw.part_rules import overlap

ONE = Part(feature=0, rows=10, columns=4, base=0, stride_log2=5)
SUM = Part(feature=1, rows=10, columns=4, base=1 << 12, stride_log2=5)
HOLE = {"hole_log2": 6, "hole_bits": 2}


def engine(*sources, kind=SourceKind.HBM):
    """A feature of one lookup and one of four, both of ten rows of four elements."""
    return EngineConfig(
        name="parts",
        precision="fixed16",
        features=(Feature(rows=10, dim=4, position=0), Feature(rows=10, dim=4, lookups=4, position=4)),
        sources=tuple(Source(kind=kind, parts=tuple(parts)) for parts in sources),
        hidden=(),
        output=Layer(inputs=8, outputs=1),
        arrays=(),
    )


def interleaved(part, log2):
    """A part for each value of the lowest `log2` bits of a row's number."""
    step = 1 << log2
    return [part.replace(row_first=k, row_step_log2=log2, rows=len(range(k, 10, step))) for k in range(step)]


def replicas(part, *counts):
    """Copies of a part, for so many lookups each."""
    firsts = itertools.accumulate(counts, initial=0)
    return [part.replace(lookup_first=first, lookups=count) for first, count in zip(firsts, counts, strict=False)]


LEGAL = {
    "apart": ([[ONE], [SUM]], ((0,), (1,))),
    "in one source": ([[ONE, SUM]], ((0,),)),
    "rows of one lookup interleaved": ([*[[p] for p in interleaved(ONE, 2)], [SUM]], ((0,), (1,), (2,), (3,), (4,))),
    "steps of two lengths": (
        [[ONE.replace(rows=5, row_step_log2=1)], *[[p] for p in interleaved(ONE, 2)[1::2]], [SUM]],
        ((0,), (1,), (2,), (3,)),
    ),
    "steps after consecutive rows": (
        [
            [ONE.replace(rows=2, row_step_log2=2), ONE.replace(row_first=8, rows=2, base=1 << 11)],
            *[[p.replace(rows=2)] for p in interleaved(ONE, 2)[1:]],
            [SUM],
        ],
        ((0,), (1,), (2,), (3,), (4,)),
    ),
    "a replica per lookup": ([[ONE], *[[p] for p in replicas(SUM, 1, 1, 1, 1)]], ((0,), (1, 2, 3, 4))),
    "replicas for groups of lookups": ([[ONE], *[[p] for p in replicas(SUM, 1, 3)]], ((0,), (1, 2))),
    "a pooled feature split by rows": (
        [[ONE], [SUM.replace(rows=3)], [SUM.replace(row_first=3, rows=7)]],
        ((0,), (1, 2)),
    ),
    "a pooled feature interleaved": ([[ONE], *[[p] for p in interleaved(SUM, 1)]], ((0,), (1, 2))),
    "both features with the same partners": (
        [list(pair) for pair in zip(interleaved(ONE, 2), replicas(SUM, 1, 1, 1, 1), strict=True)],
        ((0, 1, 2, 3),),
    ),
    "replicas of parts of the columns": (
        [
            [ONE],
            *[[p.replace(columns=2)] for p in replicas(SUM, 2, 2)],
            *[[p.replace(columns=2, column_first=2)] for p in replicas(SUM, 3, 1)],
        ],
        ((0,), (1, 2), (3, 4)),
    ),
    "partners on either side of another source": (
        [[SUM.replace(lookups=2)], [ONE], [SUM.replace(lookup_first=2, lookups=2)]],
        ((0, 2), (1,)),
    ),
    "replicas of interleaved rows": (
        [[ONE], *[[p] for half in interleaved(SUM, 1) for p in replicas(half, 2, 2)]],
        ((0,), (1, 2, 3, 4)),
    ),
    "parts between each other's rows": (
        [[ONE.replace(**HOLE, base=0), SUM.replace(**HOLE, base=1 << 6)]],
        ((0,),),
    ),
}


@pytest.mark.parametrize(("sources", "partners"), LEGAL.values(), ids=list(LEGAL))
def test_allows_what_the_rules_allow_and_says_who_are_partners(sources, partners):
    config = engine(*sources)
    assert config.partners == partners
    assert EngineConfig.from_json(config.to_json()) == config


ILLEGAL = {
    "a row beyond the table's end": (
        [[ONE.replace(row_first=1, row_step_log2=1, rows=6)], [SUM]],
        "a part leaves the table of feature 0",
    ),
    "no rows": ([[ONE.replace(rows=0)], [SUM]], "a part leaves the table of feature 0"),
    "a step's rows from the middle of the table": (
        [[ONE.replace(row_first=2, row_step_log2=1, rows=4)], [SUM]],
        "feature 0 that holds every 2th row must begin with one of the first 2, not row 2",
    ),
    "a lookup too many": (
        [[ONE], [SUM.replace(lookup_first=1)]],
        "a part of feature 1 must serve some of its 4 lookups, not 1 to 4",
    ),
    "a negative lookup": ([[ONE], [SUM.replace(lookup_first=-1, lookups=2)]], "4 lookups, not -1 to 0"),
    "no lookups": ([[ONE], [SUM.replace(lookups=0)]], "must serve some of its 4 lookups, not 0 to -1"),
    "a lookup that is served nowhere": ([[ONE], *[[p] for p in replicas(SUM, 2, 1)]], "feature 1: .* for each lookup"),
    "a lookup that is served twice": (
        [[ONE], [SUM.replace(lookups=3)], [SUM.replace(lookup_first=2, lookups=2)]],
        "feature 1: .* exactly once for each lookup",
    ),
    "a lookup served twice and another nowhere": (
        [[ONE], [SUM.replace(lookups=2)], [SUM.replace(lookup_first=1, lookups=2)]],
        "feature 1: .* exactly once for each lookup",
    ),
    "a row in two of the steps": (
        [[ONE.replace(rows=5, row_step_log2=1)], [interleaved(ONE, 2)[2], ONE.replace(rows=3, base=1 << 10)], [SUM]],
        "feature 0: .* exactly once",
    ),
    "partners that serve other features": (
        [[ONE, SUM.replace(lookups=2)], [SUM.replace(lookup_first=2, lookups=2)]],
        r"sources 0 and 1 share sums and must serve the same .*, not \[\(0, 0, 4\), \(1, 0, 4\)\] and \[\(1, 0, 4\)\]",
    ),
    "partners that serve other columns": (
        [
            [ONE],
            [SUM.replace(lookups=2)],
            [SUM.replace(lookup_first=2, lookups=2, columns=2)],
            [SUM.replace(lookup_first=2, lookups=2, columns=2, column_first=2)],
        ],
        r"sources 1 and 2 share sums and must serve the same \(feature, first column, columns\)",
    ),
    "bytes of two parts": ([[ONE, SUM.replace(base=9 << 5)]], "source 0: .* feature 0 and .* feature 1 share bytes"),
    "a hole that ends in another part": (
        [[ONE.replace(**HOLE, base=0), SUM.replace(base=1 << 6)]],
        "source 0: a part of feature 0 and one of feature 1 share bytes",
    ),
    "a hole within a row": (
        [[ONE.replace(hole_log2=4, hole_bits=1)], [SUM]],
        r"a hole at bit 4 must have a base of whole 2\^4 bytes and no longer stride, not 0 and 32",
    ),
    "a base below a hole": (
        [[ONE.replace(**HOLE, base=32)], [SUM]],
        r"a hole at bit 6 must have a base of whole 2\^6 bytes and no longer stride, not 32 and 32",
    ),
    "a hole in a later piece of a table": (
        [[ONE.replace(rows=5), ONE.replace(**HOLE, row_first=5, rows=5, base=1 << 10)], [SUM]],
        "a hole must begin with one of its table's first 1 rows, not row 5",
    ),
    **{
        f"a negative {field}": ([[ONE.replace(**{field: -1})], [SUM]], f"{field} must be at least 0, not -1")
        for field in ("row_step_log2", "base", "stride_log2", "hole_log2", "hole_bits")
    },
}


@pytest.mark.parametrize(("sources", "message"), ILLEGAL.values(), ids=list(ILLEGAL))
def test_names_the_rule_that_is_broken(sources, message):
    with pytest.raises(ValueError, match=message):
        engine(*sources)


def test_an_on_chip_bank_has_no_holes():
    with pytest.raises(ValueError, match="source 0: parts of an on-chip bank have no holes"):
        engine([ONE.replace(**HOLE)], [SUM], kind=SourceKind.ONCHIP)


PLACES = {
    # fields, row: byte
    "a row apart": ({"base": 96}, 3, 96 + 3 * 32),
    "below the hole": ({"base": 1 << 8, **HOLE}, 1, (1 << 8) + 32),
    "behind the hole": ({"base": 1 << 8, **HOLE}, 2, (1 << 8) + (1 << 8)),
    "a base within the hole": ({"base": 3 << 6, **HOLE}, 7, (3 << 6) + (3 << 8) + 32),
}


@pytest.mark.parametrize(("fields", "row", "byte"), PLACES.values(), ids=list(PLACES))
def test_a_row_lies_where_the_part_says(fields, row, byte):
    part = ONE.replace(**fields)
    assert part.offset(row) == byte
    assert part.end == part.offset(9) + 32


@st.composite
def parts(draw):
    stride = draw(st.integers(0, 2))
    bits = draw(st.sampled_from([0, 0, 1, 2, 3]))
    low = draw(st.integers(stride, 4)) if bits else 0
    base = draw(st.integers(0, 96)) >> low << low
    rows = draw(st.integers(1, 20))
    return ONE.replace(rows=rows, base=base, stride_log2=stride, hole_log2=low, hole_bits=bits)


@given(a=parts(), b=parts())
def test_overlap_is_that_of_the_bytes(a, b):
    first, second = (
        {part.offset(row) + byte for row in range(part.rows) for byte in range(1 << part.stride_log2)}
        for part in (a, b)
    )
    assert overlap(a, b) == overlap(b, a) == bool(first & second)


@st.composite
def served(draw):
    """Parts of the pooled feature that serve it exactly once, or would but for one field of one part."""
    pieces = []
    for part in interleaved(SUM, draw(st.integers(0, 2))):
        counts = draw(st.sampled_from([(4,), (1, 3), (2, 2), (1, 1, 1, 1)]))
        pieces += [piece.replace(base=len(pieces) << 12) for piece in replicas(part, *counts)]
    field = draw(st.sampled_from(["", "row_first", "row_step_log2", "rows", "lookup_first", "lookups"]))
    if field:
        place = draw(st.integers(0, len(pieces) - 1))
        changed = getattr(pieces[place], field) + draw(st.sampled_from([-1, 1, 2]))
        assume(changed >= 0)
        pieces[place] = pieces[place].replace(**{field: changed})
    return pieces


def is_legal(*sources):
    try:
        engine(*sources)
    except ValueError:
        return False
    return True


@given(pieces=served())
def test_legal_is_what_serves_every_row_to_every_lookup_once(pieces):
    found = [
        (row, lookup)
        for piece in pieces
        for row in piece.row_numbers
        for lookup in range(piece.lookup_first, piece.lookup_first + piece.lookups)
    ]
    exact = sorted(found) == list(itertools.product(range(10), range(4)))
    steps = all(not piece.row_step_log2 or piece.row_first < 1 << piece.row_step_log2 for piece in pieces)
    some = all(piece.rows and piece.lookups for piece in pieces)
    assert is_legal([ONE], *[[piece] for piece in pieces]) == (exact and steps and some)

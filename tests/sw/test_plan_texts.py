"""What is said of plans: sizes, proofs, tables that fit nowhere, a line per channel."""

from collections import Counter

import pytest

from microduet.boards import Board
from microduet.errors import InputError, PlacementError
from microduet.placement import Plan, place
from microduet.planner import allocate, literal, spread
from microduet.planner.best import Best
from microduet.planner.make import MODES, make
from microduet.planner.options import Choices
from microduet.planner.solution import Solution
from microduet.planner.solver import Outcome
from microduet_hw.config import Precision
from tests.sw.plans import SMALL, shape


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12_345, "12.3 kB"),
        (1_000_000, "1 MB"),
        (268_435_456, "268 MB"),
        (1_000_000_000, "1 GB"),
        (17_179_869_184, "17.2 GB"),
    ],
)
def test_sizes_have_three_digits(size: int, text: str) -> None:
    assert allocate.gigabytes(size) == text


MODEL = shape([(10, 4, 1), (200_000, 40, 1), (1000, 16, 2)])
FIXED16 = Precision.FIXED16


def test_a_table_that_no_channel_holds_is_named_with_the_largest_channel() -> None:
    error = allocate.table_too_large(MODEL, 1, precision=FIXED16, board=SMALL, hint=" (so)")
    assert isinstance(error, PlacementError)
    said = "table 1 (200000 x 40 in fixed16) needs 25.6 MB; the largest channel of mine, ddr0, has 3.15 MB"
    assert str(error) == said + " (so)"
    assert str(allocate.table_too_large(MODEL, 1, precision=FIXED16, board=SMALL)) == said


def test_tables_that_do_not_fit_together_are_told_with_all_sizes() -> None:
    assert str(allocate.all_too_large(MODEL, precision=FIXED16, board=SMALL)) == (
        "no plan was found: the 3 tables need 25.6 MB in fixed16, the largest (table 1) 25.6 MB; the 3 channels of "
        "mine have 5.24 MB, the largest, ddr0, 3.15 MB"
    )


LARGE = [(10, 4, 1), (200_000, 40, 1)]
TOO_LARGE = {
    "best": "table 1 (200000 x 40 in fixed16) needs 25.6 MB; the largest channel of mine, ddr0, has 3.15 MB",
    "paper-built": "table 1 (200000 x 40 in fixed16) needs 25.6 MB; the largest channel of mine, ddr0, has 3.15 MB",
    "paper-hbm": "table 1 (200000 x 40 in fixed16) needs 25.6 MB; the largest channel of mine, ddr0, has 3.15 MB",
    "paper-literal": "table 1 (200000 x 40 in fixed16) needs 25.6 MB; the largest channel of mine, ddr0, has 3.15 MB "
    "(paper-literal splits no table)",
    "rule": "table 1 (200000 x 40, 24.4 MiB in fixed16) fits no channel of mine: the largest, ddr0, has 3 MiB, at most "
    "1 MiB free",
    "spread": "table 1 (200000 x 40, 25.6 MB in fixed16) has no room beside the others in 2 channels of 1.05 MB",
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_says_which_table_fits_nowhere(mode: str) -> None:
    with pytest.raises(PlacementError) as raised:
        make(shape(LARGE), precision=FIXED16, board=SMALL, mode=mode, seconds=1)
    assert str(raised.value) == TOO_LARGE[mode]


def test_a_pooled_table_that_fits_nowhere_cannot_be_split_by_rows() -> None:
    with pytest.raises(PlacementError) as raised:
        place(shape([(200_000, 40, 2)]), precision=FIXED16, board=SMALL)
    assert str(raised.value) == (
        "table 0 (200000 x 40, 24.4 MiB in fixed16) fits no channel of mine and, being pooled, cannot be split by rows:"
        " the largest, ddr0, has 3 MiB, at most 3 MiB free"
    )


def test_a_mode_that_there_is_not_is_told_with_all_that_there_are() -> None:
    with pytest.raises(InputError) as raised:
        make(MODEL, precision=FIXED16, board=SMALL, mode="bets")
    said = "mode must be best, paper-built, paper-hbm, paper-literal, rule, spread, not 'bets'"
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("tables", "board", "said"),
    [
        ([(1, 4, 1)], "mine", "table 0 has 1 rows and is not spread over 2 channels: it needs one for each"),
        ([(8, 2048, 1), (4, 2049, 1)], "mine", "table 1: a row must have at most 4096 bytes, not 8192"),
        ([(8, 4, 1)], "one", "tables are spread over at least 2 HBM channels; one has 1"),
    ],
)
def test_what_cannot_be_spread_is_one_line(tables: list, board: str, said: str) -> None:
    one = Board(name="one", channels=SMALL.channels[1:])
    with pytest.raises(PlacementError) as raised:
        spread.spread_plan(shape(tables), precision=FIXED16, board=SMALL if board == "mine" else one)
    assert str(raised.value) == said


def outcome(*, time: int, time_bound: int, words: int, words_bound: int) -> Outcome:
    solution = Solution(Counter(), {}, [])
    return Outcome(solution=solution, time=time, time_bound=time_bound, words=words, words_bound=words_bound)


PROOFS = [
    (
        outcome(time=137_800, time_bound=137_800, words=1000, words_bound=1000),
        (True, 0.0),
        "no plan has a slowest channel below 137.8 ns: proven; at that, none stores less than 32 kB: proven",
    ),
    (
        outcome(time=137_800, time_bound=137_800, words=1000, words_bound=900),
        (False, 0.1),
        "no plan has a slowest channel below 137.8 ns: proven; at that, 32 kB may be 10.00% more than needed",
    ),
    (
        outcome(time=150_000, time_bound=120_000, words=1000, words_bound=0),
        (False, 0.2),
        "the slowest channel takes 150.0 ns, no plan less than 120.0: at most 20.00% from the best",
    ),
]


@pytest.mark.parametrize(("found", "known", "said"), PROOFS)
def test_a_proof_says_what_is_known_and_what_was_considered(found: Outcome, known: tuple, said: str) -> None:
    choices = Choices(classes=(), options=(), groups=(), precision=FIXED16, board=SMALL, pairs=120, considered=100)
    plan = Plan(model="t", board="mine", precision=FIXED16, planned=())
    best = Best(plan=plan, outcome=found, choices=choices)
    assert best.proof == said + ". Pairs of table classes considered for products: 100 of 120"
    assert (found.optimal, pytest.approx(found.gap)) == known


def test_rounds_of_the_literal_algorithm_are_the_fewest() -> None:
    tables = allocate.by_size(shape([(100 * k, 4, 1 + k % 2) for k in range(1, 40)]))
    rounds, onchip = literal.fewest_rounds(tables, precision=FIXED16, board=SMALL)
    assert (rounds, onchip) == (20, 0)
    wide = Board(name="wide", channels=SMALL.channels, uram=960)
    rounds, onchip = literal.fewest_rounds(tables, precision=FIXED16, board=wide)
    reads = [table.table.lookups for table in tables]
    assert onchip == min(8 * rounds, len(tables))
    assert sum(reads[onchip:]) <= 3 * rounds
    fewer = rounds - 1
    assert sum(reads[8 * fewer :]) > 3 * fewer or fewer < sum(reads) / 11

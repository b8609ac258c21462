"""Whole edge units on the simulator: every answer is the reference's, whatever waits, changes or fails."""

import functools

import numpy as np
import pytest

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.image import load_beats, stream_tables
from microduet_hw.edge.message import EdgeStatus, Kind
from microduet_hw.edge.model import EdgeModel
from microduet_hw.edge.packets import Answer, Beats, join_messages, unpack_answer
from microduet_hw.generate import generate
from microduet_hw.registers import Register, register_map
from microduet_sim.batch import Fault, Stalls
from microduet_sim.build import Library, build
from microduet_sim.messages import Answers, MessageSimulator
from microduet_sim.tables import StoredTable
from tests.support.edge import UNITS
from tests.support.edge_sessions import Expected, Session, check_answer, random_edge_model

SEED = 5


@functools.cache
def library(case: str) -> Library:
    return build(UNITS[case], generate(UNITS[case]))


class Unit:
    """A simulated unit with a random model, and a session with it."""

    def __init__(self, case: str, *, seed: int = SEED, bad: float = 0.05) -> None:
        print(f"unit {case}, seed {seed}")
        rng = np.random.default_rng(seed)
        self.config: EdgeConfig = UNITS[case]
        self.model: EdgeModel = random_edge_model(self.config, rng)
        tables = [StoredTable(rows=rows) for rows in stream_tables(self.config, self.model)]
        self.simulator = MessageSimulator(self.config, library(case), tables=tables)
        self.simulator.load(load_beats(self.config, self.model))
        self.session = Session(self.config, self.model, rng, bad=bad)

    def send(self, messages: list[Beats], *, mode: str = "saturated") -> tuple[list[Answer], Answers]:
        words, lengths = join_messages(messages)
        self.simulator.write(Register.ITEMS, len(messages))
        self.simulator.write(Register.CONTROL, 1)
        result = self.simulator.exchange(words, capacity=8 * len(messages), beats=lengths, mode=mode)  # type: ignore[arg-type]
        bounds = zip(result.first[:-1], result.first[1:], strict=True)
        return [unpack_answer(self.config, result.beats[a:b]) for a, b in bounds], result

    def ask(self, *kinds: Kind, group: int = 0) -> tuple[list[Answer], list[Expected], Answers]:
        made = [self.session.make(kind, group) for kind in kinds]
        answers, result = self.send([message for message, _ in made], mode="idle")
        return answers, [expected for _, expected in made], result

    def check(self, answers: list[Answer], expected: list[Expected]) -> None:
        wrong = [check_answer(a, e, self.model) for a, e in zip(answers, expected, strict=True)]
        assert [line for line in wrong if line] == []

    def counter(self, name: str) -> int:
        return self.simulator.read(register_map(self.config)[name])


@pytest.mark.parametrize("stall", [0.0, 0.2, 0.7])
@pytest.mark.parametrize("case", UNITS)
def test_a_random_session_is_answered_as_the_reference_says(case: str, stall: float) -> None:
    unit = Unit(case, seed=int(10 * stall), bad=0.1)
    unit.simulator.set_stalls(Stalls.everywhere(stall, seed=SEED))
    messages, expected = unit.session.messages(600)
    answers, _ = unit.send(messages)
    unit.check(answers, expected)
    statuses = {answer.status for answer in answers}
    refusals = {EdgeStatus.STALE_VERSION, EdgeStatus.WRONG_COUNT, EdgeStatus.SHORT_PACKET, EdgeStatus.LONG_PACKET}
    assert refusals <= statuses
    assert sum(bool(one.payload) for one in expected) > 60
    assert sum(answer.coded is not None for answer in answers) > 60


@pytest.mark.nightly
@pytest.mark.parametrize("case", UNITS)
def test_ten_thousand_sessions(case: str) -> None:
    """Each begins with a history of its own, and is sent with other stalls than the one before."""
    unit = Unit(case)
    for number in range(10_000 // len(UNITS) + 1):
        unit.simulator.set_stalls(Stalls.everywhere(number % 4 * 0.2, seed=number))
        start = [unit.session.make(Kind.PRELOAD, group) for group in range(len(unit.config.histories))]
        messages, expected = unit.session.messages(20)
        answers, _ = unit.send([message for message, _ in start] + messages)
        unit.check(answers, [one for _, one in start] + expected)


def test_queries_use_the_old_value_until_an_update_is_complete() -> None:
    unit = Unit("streamed", bad=0)
    answers, expected, _ = unit.ask(Kind.STATIC, Kind.FENCE, Kind.QUERY)
    unit.check(answers, expected)
    first = answers[0].tag
    answers, expected, _ = unit.ask(Kind.STATIC, Kind.QUERY, Kind.FENCE, Kind.QUERY)
    unit.check(answers, expected)
    assert [answers[1].statics, answers[3].statics] == [first, answers[0].tag]


def test_inputs_that_change_during_an_update_start_it_again() -> None:
    unit = Unit("streamed", bad=0)
    unit.ask(Kind.STATIC, Kind.FENCE)
    made = [unit.session.make(Kind.STATIC) for _ in range(3)] + [unit.session.make(Kind.FENCE)]
    unit.send([message for message, _ in made])
    assert unit.counter("commits") == 1
    answers, expected, _ = unit.ask(Kind.QUERY)
    unit.check(answers, expected)
    assert answers[0].statics == made[2][1].tag & 0xFFFF


def test_a_query_without_static_inputs_is_refused_by_name() -> None:
    unit = Unit("sram", bad=0)
    answers, expected, _ = unit.ask(Kind.QUERY, Kind.FENCE)
    unit.check(answers, expected)
    assert [answer.status for answer in answers] == [EdgeStatus.MEMO_INVALID, EdgeStatus.OK]


def test_a_query_waits_for_the_first_value_if_it_is_on_its_way() -> None:
    unit = Unit("sram", bad=0)
    answers, expected, _ = unit.ask(Kind.STATIC, Kind.QUERY)
    unit.check(answers, expected)
    assert answers[1].statics == answers[0].tag


@pytest.mark.parametrize("case", ["sram", "no_bottom"])
def test_an_idle_query_takes_a_cycle_per_step_and_the_way(case: str) -> None:
    unit = Unit(case, bad=0)
    if unit.config.static is not None:
        unit.ask(Kind.STATIC, Kind.FENCE)
    unit.ask(Kind.PRELOAD)
    _, _, result = unit.ask(Kind.QUERY)
    cycles = int(result.finished_ps[0] - result.accepted_ps[0]) // 1000
    steps = unit.counter("top_steps") + (unit.counter("dynamic_steps") if unit.config.dynamic else 0)
    assert cycles <= steps + 60
    assert unit.counter("pooled_rows") == unit.config.pooled_elements // unit.config.row_elements


@pytest.mark.parametrize(("case", "group"), [("sram", 0), ("no_bottom", 1), ("streamed", 0)])
def test_a_click_is_seen_its_rows_and_some_cycles_after_its_last_beat(case: str, group: int) -> None:
    unit = Unit(case, bad=0)
    made = [unit.session.make(Kind.PRELOAD, group), unit.session.make(Kind.CLICK, group)]
    _, result = unit.send([message for message, _ in made], mode="idle")
    beats, rows = len(made[1][0]), unit.config.rows(group)
    seen = int(result.acted_ps[1] - result.accepted_ps[1]) // 1000
    assert beats + rows < seen <= beats + rows + 6


def test_weights_that_cannot_be_read_are_said_with_the_payload() -> None:
    unit = Unit("streamed", bad=0)
    unit.ask(Kind.STATIC, Kind.FENCE)
    channel = unit.config.stream_channels("top")[0]
    unit.simulator.set_faults({channel: Fault(error_on=1)})
    statuses = [unit.ask(Kind.QUERY)[0][0].status for _ in range(6)]
    assert statuses[-1] == EdgeStatus.AXI_ERROR, statuses


def test_weights_that_never_come_end_in_a_timeout_and_nothing_hangs() -> None:
    unit = Unit("streamed", bad=0)
    unit.ask(Kind.STATIC, Kind.FENCE)
    channel = unit.config.stream_channels("top")[0]
    unit.simulator.set_faults({channel: Fault(silent_on=1)})
    answers = [unit.ask(Kind.QUERY)[0][0] for _ in range(6)]
    assert answers[-1].status == EdgeStatus.TIMEOUT
    answers, expected, _ = unit.ask(Kind.CLICK, Kind.CHECK)
    unit.check(answers, expected)


def test_static_weights_that_cannot_be_read_keep_the_old_value() -> None:
    unit = Unit("streamed", bad=0)
    answers, _, _ = unit.ask(Kind.STATIC, Kind.FENCE)
    first = answers[0].tag
    unit.simulator.set_faults({unit.config.stream_channels("static")[0]: Fault(error_on=1)})
    fences = [unit.ask(Kind.STATIC, Kind.FENCE)[0][1] for _ in range(6)]
    assert fences[-1].status == EdgeStatus.AXI_ERROR
    kept = [fence.statics for fence in fences if fence.status == EdgeStatus.OK]
    answers, _, _ = unit.ask(Kind.QUERY)
    assert answers[0].statics == (kept[-1] if kept else first)

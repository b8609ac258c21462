"""Mutants of components: a strong bench kills them, a weak one does not, and what is no other hardware is proven so."""

import dataclasses
import functools
import random
import re

import cocotb
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.store import Store
from tests.support import mutant_calls, mutant_record, mutants
from tests.support.bench import bench_parameters, run_bench
from tests.support.bench_build import runner_of
from tests.support.flow import begin, cycle
from tests.support.mutant_judge import judge
from tests.support.mutant_model import PINS, build_model, draw, make, yosys
from tests.support.mutant_proofs import MOST_REGISTERS, equivalent

LAST = 5


class Saturating(wiring.Component):
    """Counts to `LAST` and stays there; `o_full` looks at a number too that is never reached."""

    i_step: Signal
    o_count: Signal
    o_full: Signal

    def __init__(self):
        super().__init__({"i_step": In(1), "o_count": Out(3), "o_full": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o_full.eq((self.o_count == LAST) | (self.o_count == LAST + 1))
        m.d.sync += self.o_count.eq(Mux(self.o_full, self.o_count, self.o_count + self.i_step))
        return m


class Selecting(wiring.Component):
    """One of four numbers."""

    i_numbers: Signal
    i_which: Signal
    o_number: Signal

    def __init__(self):
        super().__init__({"i_numbers": In(8), "i_which": In(2), "o_number": Out(2)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o_number.eq(Array(self.i_numbers[2 * k : 2 * k + 2] for k in range(4))[self.i_which])
        return m


class Recalling(wiring.Component):
    """Gives the words of a large memory; what it gave last stays there, while nobody looks."""

    i__valid: In(1)
    i__payload: In(range(MOST_REGISTERS + 1))
    o__valid: Out(1)
    o__payload: Out(4)

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=4, depth=MOST_REGISTERS + 1, init=range(16))
        read = words.read_port(domain="comb")
        m.d.comb += read.addr.eq(self.i__payload)
        m.d.sync += self.o__valid.eq(self.i__valid)
        with m.If(self.i__valid):
            m.d.sync += self.o__payload.eq(read.data + 1)
        return m


@cocotb.test()
async def selects(dut):
    await begin(dut, i_numbers=0, i_which=0)
    expected = 0
    for _ in range(100):
        numbers, which = random.getrandbits(8), random.randrange(4)
        await cycle(dut, i_numbers=numbers, i_which=which)
        assert int(dut.o_number.value) == expected
        expected = numbers >> 2 * which & 3


@cocotb.test()
async def counts(dut):
    """Everything, a reset in the middle too."""
    await begin(dut, i_step=0)
    expected = 0
    for k in range(200):
        step, reset = random.random() < 0.5, k > 0 and random.random() < 0.05
        await cycle(dut, i_step=step, rst=reset)
        assert (int(dut.o_count.value), int(dut.o_full.value)) == (expected, expected == LAST)
        expected = 0 if reset else min(LAST, expected + step)


@cocotb.test()
async def begins_at_zero(dut):
    await begin(dut, i_step=0)
    await cycle(dut)
    assert int(dut.o_count.value) == 0


@cocotb.test()
async def waits_until_it_is_full(dut):
    await begin(dut, i_step=1)
    while not dut.o_full.value:
        await cycle(dut)
    assert int(dut.o_full.value) == 1


@cocotb.test()
async def is_wrong_itself(dut):
    await begin(dut, i_step=0)
    assert bench_parameters() == "something else"


def call_of(*scenarios, module=__name__, component=Saturating):
    return mutant_calls.Call(
        test="+".join(scenarios),
        module=module,
        scenarios=scenarios,
        parameters={},
        netlist=rtlil.convert(component(), name="top", emit_src=False),
        modules=["top"],
        depth=0,
    )


@functools.cache
def examined(*benches, count=24):
    """What `examine` says of all mutants; several tests look at the same."""
    return examine(None, *benches, count=count)


def examine(before, *benches, count=24):
    name = f"test_{'_and_'.join(benches)}_{count}{'_again' if before else ''}"
    return mutants.examine(name, [call_of(bench) for bench in benches], count=count, seed=3, source="", before=before)


@pytest.fixture
def model(tmp_path):
    return make(call_of("counts"), tmp_path, count=24, seed=3)


def test_a_strong_bench_kills_all_that_is_other_hardware():
    record = examined("counts")
    assert (record.asked, record.drawn, record.survivors) == (24, 24, [])
    assert record.equivalent > 0
    assert record.killed == 24 - record.equivalent == record.benches["counts"]
    assert record.share == 1


def test_a_weak_bench_leaves_survivors_that_a_second_one_kills():
    weak, both = examined("begins_at_zero"), examined("begins_at_zero", "counts")
    assert len(weak.survivors) > 10
    assert weak.share < mutant_record.WANTED
    assert both.survivors == []
    assert both.benches["begins_at_zero"] == weak.killed
    assert both.equivalent == weak.equivalent


def test_survivors_that_are_judged_again_give_what_all_of_them_would():
    weak, both = examined("begins_at_zero"), examined("begins_at_zero", "counts")
    again = examine(weak, "counts")
    assert (again.drawn, again.equivalent, again.survivors) == (both.drawn, both.equivalent, both.survivors)
    assert again.killed == both.killed > weak.killed
    assert sum(again.benches.values()) == again.killed


def test_what_was_no_other_hardware_before_controls_no_proof(monkeypatch):
    """Only what was killed may not be proven equal; what was proven so before would be, were all others controls."""
    monkeypatch.setattr(mutants, "CONTROLS", 24)
    weak = examined("begins_at_zero")
    assert weak.equivalent
    again = examine(weak, "begins_at_zero")
    assert (again.equivalent, again.survivors) == (weak.equivalent, weak.survivors)


def test_survivors_of_another_draw_are_not_judged():
    with pytest.raises(mutants.MutantError, match="of another draw"):
        examine(examined("begins_at_zero"), "counts", count=12)


def test_a_bench_that_does_not_call_the_original_good_judges_nothing():
    with pytest.raises(mutants.MutantError, match="no bench calls the original good: is_wrong_itself"):
        examined("is_wrong_itself", count=2)
    record = examined("is_wrong_itself", "counts")
    assert list(record.refused) == ["is_wrong_itself"]
    assert list(record.benches) == ["counts"]


def test_a_mutant_that_does_not_end_is_killed(model, tmp_path):
    numbers = range(1, 9)
    runner, call = runner_of("verilator"), call_of("waits_until_it_is_full")
    folder = tmp_path / "bench"
    verdict = judge(runner, build_model(runner, model), call, numbers=numbers, folder=folder, seed=1)
    assert verdict.refused == ""
    assert any(why.startswith("ended with signal") for why in verdict.killed.values()), verdict


def test_the_choice_zero_is_the_original(model):
    """Proven against the design without mutants."""
    both = """
        read_rtlil design.il; hierarchy -top top; proc; opt_clean; rename top gold; design -stash gold
        read_rtlil mutated.il; hierarchy -top top; cd top; connect -set mutant_select 12'd0; cd; rename top gate
        design -stash gate; design -copy-from gold -as gold gold; design -copy-from gate -as gate gate
        miter -equiv -flatten gold gate both; sat -tempinduct -prove trigger 0 -verify both
    """
    assert "SUCCESS!" in yosys(both.replace("; ", "\n"), folder=model.folder)


def test_what_is_proven_equal_looks_at_a_number_that_is_never_reached(model):
    numbers = range(1, len(model.mutations) + 1)
    same = equivalent(model, numbers)
    assert 0 < len(same) < len(numbers) / 2
    # The other way round: what a bench kills was never proven equal.
    runner = runner_of("verilator")
    verdict = judge(
        runner, build_model(runner, model), call_of("counts"), numbers=numbers, folder=model.folder / "bench", seed=2
    )
    assert not same & verdict.killed.keys()


def test_a_number_that_two_branches_match_means_the_same_to_bench_and_proof(tmp_path):
    """The first of them wins in both, so what a bench that tries everything does not kill is proven equal."""
    call = call_of("selects", component=Selecting)
    model = make(call, tmp_path, count=200, seed=1)
    branches = [number for number, text in enumerate(model.mutations, 1) if "_CMP0 -port A" in text and "const" in text]
    runner = runner_of("verilator")
    verdict = judge(runner, build_model(runner, model), call, numbers=branches, folder=tmp_path / "bench", seed=1)
    assert verdict.refused == ""
    assert 0 < len(verdict.killed) < len(branches)
    assert equivalent(model, branches) == set(branches) - verdict.killed.keys()


@pytest.mark.parametrize("rows", [4, MOST_REGISTERS + 1])
def test_a_memory_is_equal_to_itself_and_to_no_mutant_of_it(rows, tmp_path):
    """Though its output begins with no value, and if it has more words than an induction takes."""
    call = dataclasses.replace(call_of(), netlist=rtlil.convert(Store(rows=rows, bits=3), name="top", emit_src=False))
    model = make(call, tmp_path, count=5, seed=1)
    assert equivalent(model, range(1, 7)) == {6}  # a number that no mutant has


def test_what_is_read_of_a_large_memory_is_the_same_in_both(tmp_path):
    """What is held while it is not valid may be anything, which only an induction knows."""
    call = dataclasses.replace(call_of(), netlist=rtlil.convert(Recalling(), name="top", emit_src=False))
    model = make(call, tmp_path, count=60, seed=1)
    texts = list(enumerate(model.mutations, 1))
    held = {number for number, text in texts if re.search("procmux.* -port A .*bit [23]", text)}
    other = {number for number, text in texts if re.search("-mode inv .* -port [BY]", text)}
    assert held
    assert other
    assert equivalent(model, sorted(held | other)) == held


def test_a_seed_draws_the_same_mutants_and_none_of_a_clock(tmp_path):
    (tmp_path / "design.il").write_text(call_of().netlist)
    first, again, other = (draw(call_of(), tmp_path, count=30, seed=seed) for seed in (5, 5, 900))
    assert first == again != other
    assert len(set(first)) == 30
    assert not [line for line in first + other if "CLK" in line or "-port Q" in line]


@pytest.mark.parametrize(("port", "kept"), [("SRST", False), ("EN", False), ("ADDR", True)])
def test_what_yosys_ties_of_a_table_is_not_mutated(port, kept):
    line = f"mutate -mode const1 -module top -cell $auto$mem.cc:305:emit$35 -port {port} -portbit 0"
    assert (PINS.search(line) is None) == kept


def test_benches_are_written_down_instead_of_run(monkeypatch, tmp_path):
    monkeypatch.setattr(mutant_calls, "output_folder", lambda _: tmp_path)
    monkeypatch.setenv("MICRODUET_MUTANTS", "store.Store")
    for rows in (8, 4, 2):
        run_bench(Store(rows=rows, bits=3), module=__name__, scenarios=["no such scenario"])
    run_bench(Saturating(), module=__name__, scenarios=["no such scenario"])
    calls = mutant_calls.read_calls("store.Store")
    assert [call.modules[0] for call in calls] == ["top"] * 3
    (chosen,) = mutant_calls.one_design(calls)
    assert chosen.netlist == rtlil.convert(Store(rows=4, bits=3), name="top", emit_src=False)


def test_a_sample_of_a_component_of_the_gateware(capsys):
    """What `make mutants DUT=store` does with ten times as many."""
    assert mutants.main(["store", "--count", "20", "--seed", "2"]) == 0
    assert capsys.readouterr().out == "store.Store: 20 of 20 killed, 0 alive (100.0 %)\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_such_thing"], "mutants: no_such_thing: no component"),
        (["lookup"], "mutants: lookup: lookup."),
        (["pe"], "mutants: pe: pe.PePair, pe.ProcessingElement"),
        (["store", "--survivors", "--count", "3"], "mutants: store.Store: no record of 3 mutants with seed 1 is kept"),
    ],
)
def test_a_name_that_is_no_component_ends_in_one_line(arguments, said, capsys):
    assert mutants.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_records_are_kept_and_go_stale(tmp_path):
    path = tmp_path / "mutants.json"
    record = mutant_record.Record(
        source=mutant_record.source_hash("store.Store"),
        seed=1,
        asked=10,
        drawn=10,
        equivalent=2,
        survivors=["-mode inv"],
        benches={"a": 7},
        proof="",
    )
    old = mutant_record.Record(**{**vars(record), "source": "0" * 12})
    mutant_record.keep("store.Store", record, path)
    mutant_record.keep("pe.PePair", old, path)
    kept = mutant_record.read_kept(path)
    assert kept == {"pe.PePair": old, "store.Store": record}
    assert list(mutant_record.fresh(kept)) == ["store.Store"]
    assert record.text() == "7 of 10 killed, 2 equivalent, 1 alive (87.5 %)"

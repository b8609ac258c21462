"""Proofs: they pass for a right component, and find the fault of a wrong one."""

import re

import pytest
from amaranth.hdl import Cover, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In

from tests.support import formal
from tests.support.demo import Crossing, Queue
from tests.support.formal import prove


class Counter(wiring.Component):
    """Takes payloads, and has a cover point at the tenth."""

    i: stream.Interface

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(1))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(4)
        m.d.comb += [self.i.ready.eq(1), Cover(count == 10)]
        with m.If(self.i.valid):
            m.d.sync += count.eq(count + 1)
        return m


@pytest.mark.parametrize("mode", ["bmc", "cover"])
def test_passes_for_a_queue(mode):
    proof = prove(Queue(width=2), mode=mode, depth=8)
    assert proof, proof


def test_passes_by_induction():
    proof = prove(Queue(width=2), mode="prove", depth=4)
    assert proof, proof


def test_passes_for_two_clock_domains():
    proof = prove(Crossing(width=1), depth=12, domains={"i": "mem"})
    assert proof, proof


def test_reaches_transfers_on_both_sides_of_a_crossing():
    proof = prove(Crossing(width=1), mode="cover", depth=16, domains={"i": "mem"})
    assert proof, proof


def test_finds_a_payload_that_changes_at_another_clock():
    proof = prove(Crossing(width=1, fault="unregistered"), depth=16, domains={"i": "mem"})
    assert proof.status == "FAIL"


@pytest.mark.parametrize("fault", ["drops_valid", "asserts"])
def test_fails_and_keeps_a_trace(fault):
    proof = prove(Queue(width=2, fault=fault), depth=10)
    assert not proof
    assert proof.status == "FAIL"
    assert proof.trace is not None
    assert proof.trace.is_file()


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Depths of the proofs that were run, and not found among those that were kept."""
    run, found = formal._run, []

    def watched(folder, texts):
        found.append(re.search(r"^depth (\d+)$", texts["proof.sby"], re.MULTILINE)[1])
        run(folder, texts)

    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path))
    monkeypatch.setattr(formal, "_run", watched)
    return found


@pytest.mark.parametrize("fault", [None, "drops_valid"])
def test_is_run_once_for_what_has_not_changed(runs, fault):
    first, second, deeper = (prove(Queue(width=2, fault=fault), depth=depth) for depth in (10, 10, 11))
    assert runs == ["10", "11"]
    assert first == second
    assert bool(first) is bool(deeper) is (fault is None)


def test_without_a_verdict_is_run_again(runs, monkeypatch):
    monkeypatch.setattr(formal, "SBY", formal.SBY.replace("smtbmc yices", "smtbmc nothing"))
    proofs = [prove(Queue(width=2), depth=10) for _ in range(2)]
    assert [proof.status for proof in proofs] == ["ERROR"] * 2
    assert runs == ["10", "10"]


@pytest.mark.parametrize(("depth", "reached"), [(8, False), (12, True)])
def test_reaches_cover_points_in_time_only(depth, reached):
    assert bool(prove(Counter(), mode="cover", depth=depth)) is reached

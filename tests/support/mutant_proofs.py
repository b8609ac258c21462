"""Which mutants are no other hardware: of the same logic, or proven by induction over `DEPTH` cycles, for all time.

Original and mutant get the same inputs from the state after configuration on, in which registers without a value of
their own, those at the outputs of memories, are 0. Outputs have to be the same in every cycle, the payload of a stream
only where it is valid; input streams keep the stream rules, all else is free, resets too. Registers that hold the same
in both help the induction: those that turn out not to are left out, round by round. A mutant without a proof within the
bounds is no equivalent one.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.channels import channels
from tests.support.mutant_logic import LOGIC_S, chosen, flatten, same_logic
from tests.support.mutant_model import Model, TooLongError, yosys

DEPTH = 4
"""Cycles of the induction."""
ROUNDS = 8
PROOF_S = 20
"""Seconds of the processor for one mutant in one round."""
MOST_REGISTERS = 400
"""Registers and words of memory, above which nothing is tried."""

BOUNDS = (
    f"the same logic between registers, {LOGIC_S} s of the processor; or induction over at most {DEPTH} cycles, "
    f"{PROOF_S} s of the processor, {MOST_REGISTERS} registers; inputs keep the stream rules"
)


@dataclass(frozen=True, kw_only=True)
class _Design:
    """The mutated component, flat: ports and registers by name."""

    ports: Mapping[str, tuple[str, int]]
    registers: Sequence[str]


def _flat(model: Model) -> _Design | None:
    """Write ``flat.il``, with registers called r0, r1, ...; None if it is too large, or has another clock."""
    prepare = "read_rtlil whole.il\nmemory_map\nopt_clean\n"
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


def _masks(ports: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """When a payload counts that goes out: when it is valid."""
    outgoing = [one for one in channels(ports) if ports[one.valid][0] == "output"]
    return {name: f"g_{one.valid}" for one in outgoing for name in one.payloads}


def _assumptions(ports: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    """Stream rules of the inputs: what is offered stays until it is taken."""
    for one in channels(ports):
        valid, ready, names = one.valid, one.ready, one.payloads
        if ports[valid][0] != "input" or ports.get(ready, ("", 0))[0] != "output":
            continue
        yield f"reg stalled_{valid} = 0;"
        yield f"always @(posedge clk) stalled_{valid} <= !rst && {valid} && !g_{ready};"
        for name in names:
            yield f"reg [{ports[name][1] - 1}:0] was_{name};"
            yield f"always @(posedge clk) was_{name} <= {name};"
        held = [f"{name} == was_{name}" for name in names]
        yield f"always @* assume (!stalled_{valid} || ({' && '.join([valid, *held])}));"


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
    masks = _masks(design.ports)
    terms = [f"(!{masks.get(name, 1)} || g_{name} == h_{name})" for name in outputs]
    lines += [f"assign same = {' && '.join(terms) or 1};", *_assumptions(design.ports), "endmodule"]
    return "\n".join(lines)


def _attempt(number: int, registers: Sequence[str]) -> list[str]:
    """Commands that try one mutant."""
    pairs = " ".join(f"-prove g.{name} h.{name} -show g.{name},h.{name}" for name in registers)
    return [
        chosen(number, "gate"),
        "design -copy-from gold -as gold gold",
        "read_verilog -formal both.v",
        "hierarchy -top both",
        "proc",
        "flatten",
        "async2sync",
        "opt_expr",
        "chformal -lower",
        f"sat -tempinduct -maxsteps {DEPTH} -set-init-zero -set-assumes -prove same 1 -show same {pairs} both",
    ]


def _differing(said: str) -> set[str]:
    """Registers that differ in the counterexample."""
    values: dict[tuple[str, str], dict[str, str]] = {}
    for cycle, one, name, value in re.findall(r"^ *(\d+|init) \\([gh])\.(\S+) .* ([01x]+) *$", said, re.MULTILINE):
        values.setdefault((cycle, name), {})[one] = value
    return {name for (_, name), pair in values.items() if len(set(pair.values())) > 1}


def _refuted(said: str) -> bool:
    """Whether outputs differ in what follows the state after configuration: then no registers help."""
    _, found, run = said.partition("model found for base case")
    return bool(found) and re.search(r"^ *\d+ \\same +0 ", run, re.MULTILINE) is not None


def _equal(model: Model, number: int, registers: Sequence[str]) -> bool:
    """Whether a mutant is proven to be the original within the bounds."""
    for _ in range(ROUNDS):
        script = ["read_rtlil flat.il", "design -save flat", chosen(0, "gold"), "design -save gold"]
        try:
            said = yosys("\n".join([*script, *_attempt(number, registers)]), folder=model.folder, processor_s=PROOF_S)
        except TooLongError:
            return False
        if "SUCCESS!" in said:
            return True
        if _refuted(said):
            return False
        differing = _differing(said)
        # A counterexample without differing registers is one of the outputs: nothing weaker is to be had.
        if not differing:
            return False
        registers = [one for one in registers if one not in differing]
    return False


def equivalent(model: Model, numbers: Sequence[int]) -> set[int]:
    """Those of the mutants that are proven to be the original."""
    if not numbers:
        return set()
    flatten(model)
    same = {number for number in numbers if same_logic(model, number)}
    left = [number for number in numbers if number not in same]
    design = _flat(model) if left else None
    if design is None:
        return same
    (model.folder / "both.v").write_text(_both(design))
    return same | {number for number in left if _equal(model, number, design.registers)}

"""Which mutants have the logic of the original between one register and the next: the first, quick look at a mutant.

Registers and memories of both are taken two by two, by name, and left outside: what they give is one input of both, and
what they take has to be the same. As they start alike, they stay so. That needs neither a memory as registers nor
several cycles, and the logic that a mutant has not changed is merged with the original's, so it ends on large designs
too. Registers that count only while the valid of a stream that leaves is high need only be the same then, if that too
follows from cycle to cycle. `mutant_proofs` knows more, of what depends on states that are never reached, but only of
small designs.
"""

import json
from collections.abc import Mapping
from typing import Any

from tests.support.channels import channels
from tests.support.mutant_model import ASSERTIONS, BITS, SELECT, Model, TooLongError, yosys

LOGIC_S = 30
"""Seconds of the processor for one mutant."""

FIRST_WINS = """\
(* techmap_celltype = "$pmux" *)
module first_wins(A, B, S, Y);
  parameter WIDTH = 1;
  parameter S_WIDTH = 1;
  input [WIDTH-1:0] A;
  input [WIDTH*S_WIDTH-1:0] B;
  input [S_WIDTH-1:0] S;
  output [WIDTH-1:0] Y;
  wire [WIDTH*(S_WIDTH+1)-1:0] left;
  assign left[WIDTH*S_WIDTH +: WIDTH] = A;
  genvar k;
  generate for (k = 0; k < S_WIDTH; k = k + 1) begin:branch
    assign left[WIDTH*k +: WIDTH] = S[k] ? B[WIDTH*k +: WIDTH] : left[WIDTH*(k+1) +: WIDTH];
  end endgenerate
  assign Y = left[WIDTH-1:0];
endmodule
"""
"""Of branches that match at once, as those of a mutant may, the lowest counts: so has it the Verilog that Yosys writes,
which is what benches run. Its solver would take the highest."""


def flatten(model: Model) -> None:
    """Write ``whole.il``, the mutated component as a flat module ``one``, its memories whole, the choice undriven.

    ``cut.json`` and ``logic.v`` are its logic alone, and two of it side by side.
    """
    (model.folder / "first_wins.v").write_text(FIRST_WINS)
    # Streams are known by their names, which are those of the top level: a wrapper of the bench may be round it.
    root = "top" if model.call.depth == 0 else model.call.modules[0]
    script = (
        f"read_rtlil mutated.il\nhierarchy -top {root}\ndelete {ASSERTIONS}\nflatten\n"
        f"techmap -map first_wins.v\nmemory_collect\nopt_clean\nrename -top one\ndelete -port one/w:{SELECT}\n"
        "write_rtlil whole.il\ndffunmap\nopt_clean\nwrite_json cut.json\n"
    )
    yosys(script, folder=model.folder)
    design = json.loads((model.folder / "cut.json").read_text())
    module = design["modules"]["one"]
    ports = dict(module["ports"])
    registers = _leave_outside(module, "$dff")
    _leave_outside(module, "$mem_v2")
    (model.folder / "cut.json").write_text(json.dumps(design))
    _relax(model, module["ports"], ports, registers)


def _leave_outside(module: dict[str, Any], kind: str) -> dict[str, Any]:
    """Make ports of a module, in Yosys's JSON, of all that cells of a kind are tied to.

    Returns what each was tied to, by what the names of its ports begin with.
    """
    cells = {name: cell for name, cell in module["cells"].items() if cell["type"] == kind}
    found: dict[str, Any] = {}
    for number, (name, cell) in enumerate(cells.items()):
        stem = f"outside_{kind[1:]}_{number}"
        found[stem] = cell["connections"]
        for port, bits in cell["connections"].items():
            if bits and not port.endswith("CLK"):
                direction = "input" if cell["port_directions"][port] == "output" else "output"
                module["ports"][f"{stem}_{port}"] = {"direction": direction, "bits": bits}
        del module["cells"][name]
    return found


def _relax(
    model: Model, cut: Mapping[str, Any], ports: Mapping[str, Any], registers: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write ``logic.v`` in which as many registers as can be count only while a stream that leaves is valid.

    Those of another clock than the valid's can't: it may change alone.
    """
    leaving = [ports[one.valid]["bits"] for one in channels(ports) if ports[one.valid]["direction"] == "output"]
    valids = [stem for stem, tied in registers.items() if tied["Q"] in leaving]
    held: dict[str, str] = {}

    def may(more: Mapping[str, str]) -> bool:
        """Whether the original is itself with these too."""
        (model.folder / "logic.v").write_text(_both(cut, held | more))
        return same_logic(model, 0)

    for valid in valids:
        beside = [stem for stem, tied in registers.items() if tied["CLK"] == registers[valid]["CLK"]]
        others = [stem for stem in beside if stem not in held and stem not in valids]
        if others and may(every := dict.fromkeys(others, valid)):
            held |= every
        else:
            for stem in others:
                held |= {stem: valid} if may({stem: valid}) else {}
    (model.folder / "logic.v").write_text(_both(cut, held))


def _both(ports: Mapping[str, Any], held: Mapping[str, str]) -> str:
    """Verilog of the logic of the original and of a mutant, from the same registers."""
    widths = {name: len(port["bits"]) for name, port in ports.items()}
    outputs = [name for name, port in ports.items() if port["direction"] == "output"]
    own = [f"{stem}_Q" for stem in held]
    inputs = [name for name in ports if name not in outputs]
    free = {name: widths[name] for name in inputs if name not in own}
    free |= {f"{one}_{name}": widths[name] for name in own for one in "gh"}
    lines = [f"module both({', '.join([*free, 'same'])});", "output same;"]
    lines += [f"input [{width - 1}:0] {name};" for name, width in free.items()]
    for one, module in (("g", "gold"), ("h", "gate")):
        lines += [f"wire [{widths[name] - 1}:0] {one}_{name};" for name in outputs]
        ties = [f".{name}({one}_{name})" for name in [*outputs, *own]]
        ties += [f".{name}({name})" for name in inputs if name not in own]
        lines.append(f"{module} {one}({', '.join(ties)});")
    masks = {f"{stem}_D": f"g_{valid}_D" for stem, valid in held.items()}
    for one in channels(ports):
        masks |= dict.fromkeys(one.payloads, f"g_{one.valid}")
    terms = [
        f"(!{masks[name]} || g_{name} == h_{name})" if name in masks else f"g_{name} == h_{name}" for name in outputs
    ]
    lines += [f"always @* assume (!{valid}_Q || g_{stem}_Q == h_{stem}_Q);" for stem, valid in held.items()]
    return "\n".join([*lines, f"assign same = {' && '.join(terms) or 1};", "endmodule"])


def chosen(number: int, name: str) -> str:
    """Commands that make a module `name` of one mutant of the flat module, or of the original, 0."""
    return (
        f"design -load flat\ncd one\nconnect -set {SELECT} {BITS}'d{number}\ncd\nopt_expr\nopt_clean\n"
        f"rename -hide one/w:{SELECT}\nrename one {name}\n"
    )


def same_logic(model: Model, number: int) -> bool:
    """Whether all registers, memories and outputs of a mutant of ``cut.json`` take what those of the original take."""
    script = (
        f"read_json cut.json\ndesign -save flat\n{chosen(0, 'gold')}design -stash gold\n{chosen(number, 'gate')}"
        "design -copy-from gold -as gold gold\nread_verilog -formal logic.v\nhierarchy -top both\nproc\nflatten\n"
        "opt_expr\nopt_merge\nopt_expr\nopt_clean\nchformal -lower\nsat -set-assumes -prove same 1 both\n"
    )
    try:
        return "SUCCESS!" in yosys(script, folder=model.folder, processor_s=LOGIC_S)
    except TooLongError:
        return False

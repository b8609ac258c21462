"""Which mutants have the logic of the original between one register and the next: the first, quick look at a mutant.

Registers and memories of both are taken two by two, by name: as they start alike, they stay so if what they take is
the same wherever they are. Yosys shows that of one bit after the other, each from the names next to it. That needs
neither a memory as registers nor several cycles, so it ends on designs that are too large for `mutant_proofs`, which
knows of all that depends on states that are never reached.
"""

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
    """Write ``whole.il``: the mutated component as a flat module ``one``, its memories whole, the choice undriven."""
    (model.folder / "first_wins.v").write_text(FIRST_WINS)
    # Streams are known by their names, which are those of the top level: a wrapper of the bench may be round it.
    root = "top" if model.call.depth == 0 else model.call.modules[0]
    script = (
        f"read_rtlil mutated.il\nhierarchy -top {root}\ndelete {ASSERTIONS}\nflatten\n"
        f"techmap -map first_wins.v\nmemory_collect\nopt_clean\nrename -top one\ndelete -port one/w:{SELECT}\n"
    )
    yosys(f"{script}write_rtlil whole.il", folder=model.folder)


def chosen(number: int, name: str) -> str:
    """Commands that make a module `name` of one mutant of the flat module, or of the original, 0."""
    return (
        f"design -load flat\ncd one\nconnect -set {SELECT} {BITS}'d{number}\ncd\nopt_expr\nopt_clean\n"
        f"rename -hide one/w:{SELECT}\nrename one {name}\n"
    )


def same_logic(model: Model, number: int) -> bool:
    """Whether all registers, memories and outputs of a mutant of ``whole.il`` take what those of the original take."""
    script = (
        f"read_rtlil whole.il\ndesign -save flat\n{chosen(0, 'gold')}design -stash gold\n{chosen(number, 'gate')}"
        "design -copy-from gold -as gold gold\nequiv_make gold gate both\nhierarchy -top both\n"
        "equiv_simple -short\nequiv_simple\nequiv_status\n"
    )
    try:
        return "Equivalence successfully proven!" in yosys(script, folder=model.folder, processor_s=LOGIC_S)
    except TooLongError:
        return False

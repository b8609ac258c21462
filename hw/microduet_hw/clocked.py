"""Makes Verilog of Amaranth read, and simulate, like Verilog written by hand.

Amaranth computes every register's next value in a block of its own, every cycle::

    always @* begin            always @(posedge clk)
      \\$1 = r;                   r <= \\$1 ;
      if (e) begin
        \\$1 = d;
      end
    end

`clocked` writes the same register as::

    always @(posedge clk) begin
      if (e) begin
        r <= d;
      end
    end

which is a third of the text, and leaves a register that is not written untouched: Verilator evaluates nothing for it.
A next value that is read anywhere else stays as it is.

Blocks that stay have to run once at the start, whether an input changes or not. Amaranth's Yosys has them wait for a
variable that is given a value where it is declared; SystemVerilog sees no change in that, and outputs would stay
unknown until an input changes. Here the variable changes once, after all blocks have begun to wait for it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

COMBINATIONAL = "  always @* begin"
CLOCKED = re.compile(r"  always @\((?P<edge>(?:posedge|negedge) \S+)\s*\)$")
REGISTER = re.compile(r"    (?P<register>\S+)\s+<= (?P<value>\\\S+) ;$")
ASSIGNMENT = re.compile(r"(?P<indent> +)(?P<target>\\\S+ |\w+)(?P<part> ?\[[^\]]*\])?\s*= (?P<value>.*);$")
DECLARATION = re.compile(r"  reg (?:\[[^\]]*\] )?(?P<name>\\\S+) ;$")
NAME = re.compile(r"\\\S+")
ALWAYS_ONCE = re.compile(r"    if \(\\\$auto\$verilog_backend\S* \) begin end$")
"""Yosys's way to have a block without inputs run once."""
ONCE = re.compile(r"  reg (?P<name>\\\$auto\$verilog_backend\S*)  = 0;$")
"""The variable that such blocks wait for."""


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A combinational block that gives `target` its value: lines `first` to `end`."""

    target: str
    first: int
    end: int
    body: list[str]
    writes: int


def clocked(text: str) -> str:
    """Rewrite all modules of a Verilog text as Amaranth's `convert` returns it. The meaning stays the same."""
    modules = re.split(r"(?<=^endmodule\n)", text, flags=re.MULTILINE)
    return "".join(_rewrite(module.splitlines()) for module in modules)


def _rewrite(lines: list[str]) -> str:
    uses = Counter(name for line in lines for name in NAME.findall(line))
    blocks = {block.target: block for block in _blocks(lines)}
    dropped: set[int] = set()
    replaced: dict[int, list[str]] = {}
    merged: set[str] = set()
    for number, line in enumerate(lines[:-1]):
        edge, register = CLOCKED.match(line), REGISTER.match(lines[number + 1])
        if not (edge and register):
            continue
        block = blocks.get(register["value"])
        # Declared once, written in its block, read here: nobody else looks at it.
        if block is None or uses[block.target] != block.writes + 2:
            continue
        merged.add(block.target)
        dropped.update(range(block.first, block.end + 1), (number, number + 1))
        replaced[number] = _register(edge["edge"], register["register"], block)
    result: list[str] = []
    for number, line in enumerate(lines):
        declaration = DECLARATION.match(line)
        if number in replaced:
            result += replaced[number]
        elif number not in dropped and not (declaration and declaration["name"] in merged):
            result.append(line)
    return "".join(line + "\n" for line in _once(result))


def _once(lines: list[str]) -> Iterator[str]:
    """`lines`, in which what blocks wait for at the start changes after they do; left out if none does."""
    waiting = {name for line in lines if ALWAYS_ONCE.match(line) for name in NAME.findall(line)}
    for line in lines:
        match = ONCE.match(line)
        if match is None:
            yield line
        elif match["name"] in waiting:
            yield f"  reg {match['name']} ;"
            yield f"  initial {match['name']} <= 0;"


def _blocks(lines: list[str]) -> list[_Block]:
    """Combinational blocks that assign one generated name and nothing else."""
    found: list[_Block] = []
    number = 0
    while number < len(lines):
        if lines[number] != COMBINATIONAL:
            number += 1
            continue
        end = lines.index("  end", number)
        body = [line for line in lines[number + 1 : end] if not ALWAYS_ONCE.match(line)]
        assignments = [match for line in body if (match := ASSIGNMENT.match(line))]
        targets = {match["target"].strip() for match in assignments}
        if len(targets) == 1 and (target := targets.pop()).startswith("\\$"):
            found.append(_Block(target=target, first=number, end=end, body=body, writes=len(assignments)))
        number = end + 1
    return found


def _register(edge: str, register: str, block: _Block) -> list[str]:
    name = f"{register} " if register.startswith("\\") else register
    body: list[str] = []
    for line in block.body:
        match = ASSIGNMENT.match(line)
        if match is None:
            body.append(line)
        elif match["part"] or match["value"].strip() != register:  # a register holds its value without being told
            body.append(f"{match['indent']}{name}{match['part'] or ''} <= {match['value']};")
    return [f"  always @({edge} ) begin", *body, "  end"]

"""Prints the README's table: a run of `microduet bench engine --json` per row, beside the paper's figures."""

import json
import math
import subprocess
import sys
from pathlib import Path

from microduet import paper, zoo

ROWS = [
    ("microrec-small", "fixed16"),
    ("microrec-large", "fixed16"),
    ("microrec-small", "fixed32"),
    ("microrec-large", "fixed32"),
    ("microrec-small", "int8"),
]
BUDGET = {"fixed16": 4608, "fixed32": 2304, "int8": 4608}
"""Multipliers of the paper's engine."""
WORD = 16
"""The paper counts the first layer's inputs in whole words of so many elements."""


def limit(model: str, precision: str) -> float:
    """Cycles per item that the budget's multipliers need if none ever waits."""
    shape = zoo.find(model).shape
    padding = math.ceil(shape.vector_elements / WORD) * WORD - shape.vector_elements
    return (shape.macs + padding * shape.hidden[0].outputs) / BUDGET[precision]


def main(arguments: list[str]) -> int:
    """Print a row per model and precision; 1 if a run failed or a score was wrong."""
    program = Path(sys.executable).with_name("microduet")
    print("| MicroRec's models, cycles per item | paper | limit | measured | command |")
    print("|---|---|---|---|---|", flush=True)
    worst = 0
    for model, precision in ROWS:
        command = ["bench", "engine", "--model", model]
        command += [] if precision == "fixed16" else ["--precision", precision]
        command += ["--memory", "simple"]
        answer = subprocess.run([program, *command, *arguments, "--json"], stdout=subprocess.PIPE, check=False)
        worst = max(worst, answer.returncode)
        if not answer.stdout:
            continue
        measured = json.loads(answer.stdout)["cycles_per_item"]
        known = paper.figures(model, precision)
        size = model.removeprefix("microrec-")
        print(
            f"| {size}, {precision}, {BUDGET[precision]:,} | {f'{known.cycles_per_item:.1f}' if known else '-'} "
            f"| {limit(model, precision):.1f} | **{measured:.1f}** | `microduet {' '.join(command)}` |",
            flush=True,
        )
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

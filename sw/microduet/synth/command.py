"""`microduet synth`: what a unit takes, beside what the paper's takes, and whether it fits on the cards."""

import dataclasses
import json

from rich.console import Console

from microduet import boards
from microduet.progress import Steps, steps
from microduet.synth.report import Counted, Fit, Made, record, show, whole
from microduet.synth.resources import NAMES, Family, Resources, resources
from microduet.synth.targets import Target, target
from microduet.synth.tracker import trackers
from microduet.synth.yosys import synthesise

CARDS = ("u280", "u55c")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthOptions:
    """Arguments of `microduet synth`."""

    family: Family = "xcup"
    precision: str | None = None
    config: str | None = None
    board: str = "u280"
    dim: int = 32
    json: bool = False


def main(name: str, options: SynthOptions) -> int:
    """Synthesise what is called `name` and print what it takes."""
    unit = target(name, precision=options.precision, config=options.config, board=options.board, dim=options.dim)
    console = Console(stderr=options.json, highlight=False, soft_wrap=True)
    with steps(console) as progress:
        counted = count(unit, options.family, progress=progress)
    total = whole(counted)
    fitting = [fit(total, boards.find(card)) for card in CARDS] if options.family == "xcup" else []
    tracked = trackers(unit.design, unit.top)
    made = Made(unit=unit, family=options.family, counted=counted, fitting=fitting, tracked=tracked)
    if options.json:
        print(json.dumps(record(made)))
    else:
        show(made, console)
    return 0


def count(unit: Target, family: Family, *, progress: Steps) -> list[Counted]:
    """Every piece of a unit, the largest share of LUTs first."""
    pieces = unit.design.count(unit.top)
    found: list[Counted] = []
    for number, (piece, instances) in enumerate(sorted(pieces.items(), key=lambda one: len(one[0].text))):
        progress(f"synthesis: {piece.name}", number, len(pieces))
        netlist, _ = synthesise(piece, family)
        each, unknown = resources(netlist.cells, family)
        found.append(Counted(piece=piece, instances=instances, each=each, levels=netlist.levels, unknown=unknown))
    progress("synthesis", len(pieces), len(pieces))
    return sorted(found, key=lambda one: -one.all.lut)


def fit(total: Resources, board: boards.Board) -> Fit:
    """A whole on a card without its platform's own part."""
    shares = {name: getattr(total, name) / max(1, getattr(board, name)) for name in NAMES}
    limit = max(shares, key=shares.__getitem__)
    return Fit(board=board.name, limit=limit, share=shares[limit])

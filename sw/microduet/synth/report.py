"""What was counted, as a record and as tables."""

import dataclasses
import math

from rich.console import Console
from rich.table import Table

from microduet import paper
from microduet.synth.modules import Piece
from microduet.synth.resources import NAMES, Family, Resources
from microduet.synth.targets import Target
from microduet.synth.tracker import Tracker

HEADINGS = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted:
    """A piece, how often it is in the whole, what one takes, and its longest way through logic, in cells."""

    piece: Piece
    instances: int
    each: Resources
    levels: int
    unknown: dict[str, int]

    @property
    def all(self) -> Resources:
        """What all instances take."""
        return self.each * self.instances

    @property
    def module(self) -> str:
        """Name of one of the modules that it stands for."""
        return self.piece.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """A whole on a card: its most used resource, the part of it that is used, and whether all is there."""

    board: str
    limit: str
    share: float

    @property
    def fits(self) -> bool:
        """Whether no resource is used more than once."""
        return self.share <= 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """Everything that is known of a unit."""

    unit: Target
    family: Family
    counted: list[Counted]
    fitting: list[Fit]
    tracked: list[Tracker]

    @property
    def total(self) -> Resources:
        """What the whole takes."""
        return whole(self.counted)

    @property
    def levels(self) -> int:
        """Of the longest way through logic in any piece."""
        return max(one.levels for one in self.counted)

    @property
    def unknown(self) -> list[str]:
        """Kinds of cells that were not counted."""
        return sorted({cell for one in self.counted for cell in one.unknown})

    @property
    def paper(self) -> Resources | None:
        """What the paper's engine takes for the same model."""
        return paper.resources(self.unit.model, self.unit.precision)


def whole(counted: list[Counted]) -> Resources:
    """The sum over all instances."""
    total = Resources()
    for one in counted:
        total += one.all
    return total


def record(made: Made) -> dict[str, object]:
    """For ``--json``; levels are cells of logic, estimates."""
    return {
        "config": made.unit.name,
        "family": made.family,
        "total": dataclasses.asdict(made.total),
        "extrapolated": len(made.counted) > 1,
        "paper": None if made.paper is None else dataclasses.asdict(made.paper),
        "levels_estimate": made.levels,
        "fits": [dataclasses.asdict(one) | {"fits": one.fits} for one in made.fitting],
        "unknown_cells": made.unknown,
        "pieces": [
            {
                "module": one.module,
                "instances": one.instances,
                "whole": one.piece.whole,
                "each": dataclasses.asdict(one.each),
                "levels_estimate": one.levels,
            }
            for one in made.counted
        ],
        "trackers": [dataclasses.asdict(one) for one in made.tracked],
    }


def show(made: Made, console: Console) -> None:
    """Print a row per piece, the whole, the paper's, and what it fits on."""
    title = f"{made.unit.name}, {made.family}, open synthesis"
    table = Table(title=title, title_justify="left", box=None)
    for name in ("module", "instances", *HEADINGS.values(), "levels"):
        table.add_column(name, justify="left" if name == "module" else "right")
    for one in made.counted:
        name = one.module.removeprefix(f"{made.unit.top}.") + ("" if one.piece.whole else ", own part")
        table.add_row(name, f"{one.instances:,}", *_numbers(one.all), str(one.levels))
    table.add_section()
    table.add_row("all", "", *_numbers(made.total), str(made.levels))
    if made.paper is not None:
        table.add_row("MicroRec, Table 6", "", *_numbers(made.paper), "")
    console.print(table)
    for line in remarks(made):
        console.print(line)


def remarks(made: Made) -> list[str]:
    """What is behind the figures, and what they come to."""
    lines: list[str] = []
    if len(made.counted) > 1:
        lines.append("all: an estimate, the sum over instances of modules that were synthesised one by one")
    lines.append("levels: an estimate of the longest path, in cells of logic between registers, without wires")
    if made.unknown:
        lines.append(f"not counted: cells {', '.join(made.unknown)}")
    for one in made.fitting:
        lines.append(
            f"{'fits on' if one.fits else 'does not fit on'} {one.board}: {HEADINGS[one.limit]} are used most, "
            f"{100 * one.share:.1f} % of the chip's, the platform's own part not taken off"
        )
    for one in made.tracked:
        lines.append(
            f"location tracker, count of {one.count_bits} bits: {one.gates} gates and {one.flip_flops} flip-flops, "
            f"{one.levels} levels, of no technology; the paper: 250 um2 and 0.33 ns at 15 nm"
        )
    return lines


def _numbers(found: Resources) -> list[str]:
    return [f"{math.ceil(getattr(found, name)):,}" for name in NAMES]

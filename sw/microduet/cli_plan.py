"""The command `microduet plan`."""

from pathlib import Path
from typing import Literal

from microduet.cli_options import Natural


def plan(
    model: str,
    /,
    *,
    board: str = "u280",
    mode: Literal["best", "paper-built", "paper-hbm", "paper-literal", "rule", "spread"] = "best",
    precision: str | None = None,
    out: Path | None = None,
    check: Path | None = None,
    seconds: float = 25.0,
    seed: Natural = 0,
    dim: int = 32,
    json: bool = False,
) -> int:
    """Decide where every table lies: products, splits, copies, banks; show every channel and what is proven.

    Example: microduet plan microrec-large --mode paper-built --out plan.json

    Parameters
    ----------
    model
        microrec-small, microrec-large, rmc2-8, rmc2-12, or module.py:factory
    board
        u280, u55c, or a .toml file that describes a board
    mode
        best: the fastest slowest channel, then the fewest bytes; paper-built: what MicroRec's authors built;
        paper-hbm: the same without products; paper-literal: the paper's rules and Algorithm 1; rule: the compiler's
        fixed rule; spread: every table over all HBM channels by rows
    precision
        fixed16 (if not given), fixed32 or int8
    out
        write the plan to this file
    check
        check the plan in this file instead of making one; all other options but board and precision are idle then
    seconds
        that best may take; then it shows the best plan so far and how far from the best it may be
    seed
        of a model of the zoo; plans do not depend on it
    dim
        elements of a row of rmc2
    json
        print one JSON object instead of tables
    """
    from microduet.planner import command

    options = command.PlanOptions(
        board=board,
        mode=mode,
        precision=precision,
        out=out,
        check=check,
        seconds=seconds,
        seed=seed,
        dim=dim,
        json=json,
    )
    return command.main(model, options)

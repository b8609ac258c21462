"""The command `microduet synth`."""

from typing import Literal


def synth(
    target: str,
    /,
    *,
    family: Literal["xcup", "ecp5"] = "xcup",
    precision: str | None = None,
    config: str | None = None,
    board: str = "u280",
    dim: int = 32,
    json: bool = False,
) -> int:
    """Count what an engine or an edge unit takes of a card, by open synthesis, and say whether it fits.

    Example: microduet synth microrec-small

    Parameters
    ----------
    target
        a model as for run, an edge unit, rm1-edge to rm5-edge, or the path of a configuration (.json)
    family
        xcup, the UltraScale+ of the cards, or ecp5
    precision
        fixed16 (if not given), fixed32 or int8
    config
        microrec-paper, the paper's arrangement of arrays; by default the search's choice
    board
        u280, u55c, or a .toml file that describes a board: what tables and arrays are laid out for
    dim
        elements of a row of rmc2
    json
        print one JSON object instead of tables
    """
    if target.endswith("-edge"):
        from microduet.cli_options import refuse_options

        refuse_options(synth, locals(), target=target, takes=("family", "json"))
    from microduet.synth import command

    options = command.SynthOptions(family=family, precision=precision, config=config, board=board, dim=dim, json=json)
    return command.main(target, options)

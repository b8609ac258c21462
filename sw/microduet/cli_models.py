"""The command `microduet models`."""


def models(model: str | None = None, /, *, split: str = "all", mbps: float = 24.0, json: bool = False) -> int:
    """Show how models are split between a device and the datacentre: widths, MACs, lookups, payload, memory.

    Example: microduet models rm4 --split exact

    Parameters
    ----------
    model
        rm1, rm2, rm3, rm4, rm5, microrec-small, or a description (.json); all of the zoo's if not given
    split
        duet, exact or all
    mbps
        upload speed of the device, Mb/s
    json
        print one JSON object instead of tables
    """
    from microduet.duet import command

    return command.main(model, command.ModelsOptions(split=split, mbps=mbps, json=json))

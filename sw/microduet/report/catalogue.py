"""All items of the report, in the papers' order."""

from microduet.errors import InputError
from microduet.report import duet, microrec
from microduet.report.findings import Item


def catalogue() -> dict[str, Item]:
    """By name."""
    return {item.name: item for item in (*microrec.items(), *duet.items())}


def chosen(names: tuple[str, ...]) -> tuple[Item, ...]:
    """The items of these names, all if there are none.

    Raises
    ------
    InputError
        If there is no item of a name.
    """
    known = catalogue()
    for name in names:
        if name not in known:
            raise InputError(f"there is no {name!r} in the report; there are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names)) or tuple(known.values())

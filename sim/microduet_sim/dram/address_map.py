"""The order of an address's bits: ``RA13..RA0 BG1 BA1 BA0 CA5..CA1 BG0``, from the highest to the lowest."""

import re
from dataclasses import dataclass

FIELDS = ("RA", "BG", "BA", "CA", "RK")
"""Row, bank group, bank in the group, column, rank. The order is that of the C++ model."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Bits `from_bit` .. `from_bit` + `bits` - 1 of a burst's number are bits `to` and up of a field."""

    field: int
    from_bit: int
    bits: int
    to: int


def parse_map(text: str, sizes: dict[str, int]) -> list[Segment]:
    """The segments of an address map.

    Parameters
    ----------
    text : names of bits or ranges of them, the highest first
    sizes : how many values each field has, powers of two

    Raises
    ------
    ValueError
        If the text names something else, or not every bit of every field once. Columns may be counted from any bit.
    """
    bits: list[tuple[str, int]] = []
    for token in text.split():
        found = re.fullmatch(r"(RA|BG|BA|CA|RK)(\d+)(?:\.\.\1(\d+))?", token)
        if not found:
            raise ValueError(f"address_map must be of bits like BG0 or ranges like RA13..RA0, not {token!r}")
        high, low = int(found[2]), int(found[3] or found[2])
        if high < low:
            raise ValueError(f"address_map must go from high to low, not {token!r}")
        bits += [(found[1], number) for number in range(high, low - 1, -1)]
    lowest: dict[str, int] = {}
    for field, size in sizes.items():
        numbers = sorted(number for name, number in bits if name == field)
        wanted = size.bit_length() - 1
        # The lowest column bits address bytes within a burst, and need not be named.
        lowest[field] = numbers[0] if numbers and field == "CA" else 0
        if numbers != list(range(lowest[field], lowest[field] + wanted)):
            raise ValueError(f"address_map must have each of {wanted} {field} bits once, not {numbers}")
    segments: list[Segment] = []
    for place, (field, number) in enumerate(reversed(bits)):
        to = number - lowest[field]
        last = segments[-1] if segments else None
        if last and last.field == FIELDS.index(field) and last.to + last.bits == to:
            segments[-1] = Segment(field=last.field, from_bit=last.from_bit, bits=last.bits + 1, to=last.to)
        else:
            segments.append(Segment(field=FIELDS.index(field), from_bit=place, bits=1, to=to))
    if len(segments) > 32:
        raise ValueError(f"address_map must fall into at most 32 runs of bits, not {len(segments)}")
    return segments


def map_with_ranks(text: str, ranks: int) -> str:
    """The map of `text` for another number of ranks, whose bits lie where the rank's were, or above all others."""
    tokens = text.split()
    old = [token.startswith("RK") for token in tokens]
    place = old.index(True) if True in old else 0
    kept = [token for token, rank in zip(tokens, old, strict=True) if not rank]
    highest = ranks.bit_length() - 2
    new = [] if highest < 0 else ["RK0"] if highest == 0 else [f"RK{highest}..RK0"]
    return " ".join([*kept[:place], *new, *kept[place:]])

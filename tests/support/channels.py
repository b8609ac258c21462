"""Streams among the ports of a top level, by their names: Amaranth's, AXI4-Stream's, channels of AXI4 and AXI4-Lite."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VALID = re.compile(r"(.*__)(t|ar|aw|w|r|b|)valid")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """Names of a stream's ports. One that is always ready has no port `ready`: a constant is none."""

    valid: str
    ready: str
    payloads: tuple[str, ...]


def channels(ports: Iterable[str]) -> Iterator[Channel]:
    """Every stream of these ports, in their order."""
    names = list(ports)
    for valid in names:
        if found := VALID.fullmatch(valid):
            prefix, kind = found.groups()
            ready, stem = f"{prefix}{kind}ready", prefix + (kind or "payload")
            payloads = tuple(name for name in names if name.startswith(stem) and name not in (valid, ready))
            yield Channel(valid=valid, ready=ready, payloads=payloads)

"""Damaged files for the parsers: bytes, numbers, keys and lengths changed at random, and what may come of it."""

import contextlib
import copy
import json
import re
import resource
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from microduet.errors import MicroduetError
from microduet_sim.errors import SimulatorError

EXTREMES = ["0", "-1", "1", "255", "65536", "4294967296", "9223372036854775807", "18446744073709551616", "1e308",
            "1e999", "nan", "-0.0", '""', "[]", "{}", "null", "true", "1" * 5000, "[" * 3000,
            "{a=" * 3000]  # fmt: skip
VALUES = [0, -1, 1, 2, 7, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 64, -(1 << 63), 0.5, -1e308, "", "a", "../x",
          "\x00", None, True, [], {}, [0], {"a": 0}]  # fmt: skip
SECONDS = 60
"""What no damaged file may take, on a machine that others use too."""
ROOM = 1 << 30
"""Bytes of address space that a parser may ask for beyond what the process has."""


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with one to three places changed, cut out, repeated or put in, or with another number in place of one."""
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["flip", "cut", "drop", "repeat", "put", "number", "number"]))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.integers(1, 64))
        numbers = list(re.finditer(rb"-?\d[\d.]*", data[at : at + 2000])) if kind == "number" else []
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + size :]
        elif kind == "repeat":
            data = data[:at] + data[at : at + size] * draw(st.integers(2, 50)) + data[at + size :]
        elif numbers:
            found = draw(st.sampled_from(numbers))
            value = draw(st.sampled_from(EXTREMES)).encode()
            data = data[: at + found.start()] + value + data[at + found.end() :]
        else:
            data = data[:at] + draw(st.binary(min_size=1, max_size=64)) + data[at:]
    return data


@st.composite
def damaged_json(draw: st.DrawFn, data: bytes) -> bytes:
    """A JSON text with one or two of its values changed, removed or doubled."""
    value = json.loads(data)
    for _ in range(draw(st.integers(1, 2))):
        value = copy.deepcopy(value)
        holders = [holder for holder in _holders(value) if len(holder)]
        if not holders:
            break
        holder = draw(st.sampled_from(holders))
        key = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
        kind = draw(st.sampled_from(["value", "value", "value", "remove", "double", "rename"]))
        if kind == "value":
            holder[key] = draw(st.sampled_from(VALUES))
        elif kind == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder["a" if kind == "rename" else f"{key}_"] = holder.pop(key)
    return json.dumps(value).encode()


def _holders(value: Any) -> list[Any]:
    """Every list and object in a JSON value."""
    if not isinstance(value, dict | list):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(holder for one in inner for holder in _holders(one))]


def damaged(data: bytes, *, json_too: bool) -> st.SearchStrategy[bytes]:
    """`data`, damaged byte by byte, or, if it is JSON, value by value."""
    return damaged_bytes(data) | damaged_json(data) if json_too else damaged_bytes(data)


@contextlib.contextmanager
def refused_at_worst() -> Generator[None]:
    """Nothing but a documented error of a line comes out, soon, and without much memory."""

    def late(*_: object) -> None:
        raise AssertionError(f"it takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, hard))
    try:
        yield
    except (MicroduetError, SimulatorError) as error:
        said = str(error)
    else:
        said = "read"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert said.strip(), "an error without words"
    assert len(said) < 20_000, f"an error of {len(said)} characters"

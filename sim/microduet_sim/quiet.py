"""Finds out when the memory side of a Verilated engine cannot change, so that its clock edges need no evaluation.

The memory side is evaluated 3.75 times per engine cycle and waits most of the time. Once an edge has changed nothing,
the next one changes nothing either, until an input or a signal that comes from the engine side does. Which signals
come from there is read off Verilator's C++: those that code of the engine's clock writes, or code that follows inputs,
and that code of the memory's clock mentions.
"""

import re
from pathlib import Path

LARGE_ARRAY_BYTES = 16_384
"""Larger memories are not compared: unchanged registers write the same word again."""

_FUNCTION = re.compile(r"^(?:\w+ )*void (\w+)\((\w+)\* vlSelf\) \{\n(.*?)^\}\n", re.M | re.S)
_GUARDED = re.compile(
    r"^    if \(\(([0-9a-fx]+)ULL & vlSelfRef\.__VnbaTriggered\[0U\]\)\) \{\n(.*?)^    \}\n", re.M | re.S
)
_CALL = re.compile(r"(\w+___024root___\w+)\(vlSelf\)")
_SIGNAL = re.compile(r"vlSelfRef\.(\w+)")
_ASSIGNED = re.compile(r"(?:^|[;{}])\s*vlSelfRef\.(\w+)(?:\s*\[[^;{}]*?\])*\s*=(?!=)")
_CALLED = re.compile(r"(?:^|[;{}])\s*VL_\w+\([^;]*;")
_CLOCK_BIT = re.compile(r"__Vtrigprevexpr___TOP__(\w+?)__0\)*\s*<<\s*(\d+)U")
_ARRAY = re.compile(r"VlUnpacked<(?:VlWide<(\d+)>|(\w)Data)/\*\d+:0\*/, (\d+)> (\w+);")
_INPUT = re.compile(r"VL_IN(?:W|64|16|8)?\((\w+),")
_NOTHING: dict[str, list[str]] = {"CROSSING": [], "SETTLED": [], "LARGE": []}
_WORD_BYTES = {"C": 1, "S": 2, "I": 4, "Q": 8}


def quiet_header(folder: Path, *, prefix: str, clock: str, other: str, inputs: tuple[str, ...]) -> str:
    """Lists for the C++ runtime: signals that come to `other`'s side from elsewhere, and memories not to compare.

    CROSSING are those that `clock`'s side writes, and inputs; SETTLED those that follow inputs within a cycle.

    Parameters
    ----------
    folder, prefix : where Verilator wrote the model, and its name
    clock, other : the model's two clocks
    inputs : beginnings of the names of inputs that belong to `other`'s side

    Returns
    -------
    C++ text; without crossings, and MICRODUET_QUIET 0, if the model is not of the expected form.
    """
    header = (folder / f"{prefix}___024root.h").read_text()
    code = "".join(
        path.read_text() for path in sorted(folder.glob(f"{prefix}___024root__[0-9]*.cpp")) if "Slow" not in path.name
    )
    functions = {match[1]: match[3] for match in _FUNCTION.finditer(code)}
    written, settled, mentioned = _uses(functions, prefix=prefix, clock=clock, other=other)
    foreign = {name for name in _INPUT.findall(header) if not name.startswith((*inputs, clock, other))}
    crossing = sorted((written | foreign) & mentioned)
    settled &= mentioned
    large = [name for name, size in _arrays(header) if size > LARGE_ARRAY_BYTES]
    usable = bool(crossing) and not (settled | set(crossing)) & {name for name, _ in _arrays(header)}
    lists = {"CROSSING": crossing, "SETTLED": sorted(settled), "LARGE": large} if usable else _NOTHING
    lines = [f"#define MICRODUET_{name}(VISIT) {' '.join(f'VISIT({s})' for s in v)}\n" for name, v in lists.items()]
    return f"#pragma once\n#define MICRODUET_QUIET {int(usable)}\n{''.join(lines)}"


def _uses(functions: dict[str, str], *, prefix: str, clock: str, other: str) -> tuple[set[str], set[str], set[str]]:
    """Signals written with `clock`, signals written when inputs settle, signals mentioned with `other` alone."""
    evaluation = functions.get(f"{prefix}___024root___eval_nba", "")
    triggers = functions.get(f"{prefix}___024root___eval_triggers_vec__act", "")
    bits = {match[1]: int(match[2]) for match in _CLOCK_BIT.finditer(triggers)}
    places = {name: bits.get(name, 0) for name in (clock, other)}
    if not triggers or sorted(places.values()) != [0, 1] or _GUARDED.sub("", evaluation).count("___nba_"):
        return set(), set(), set()
    written: set[str] = set()
    mentioned: set[str] = set()
    for match in _GUARDED.finditer(evaluation):
        mask, text = int(match[1], 0), _expanded(match[2], functions)
        if mask >> places[clock] & 1:
            written |= _written(text)
        if mask == 1 << places[other]:
            mentioned |= set(_SIGNAL.findall(text))
    settling = _expanded(functions.get(f"{prefix}___024root___eval_ico", ""), functions)
    return written, _written(settling), mentioned


def _expanded(text: str, functions: dict[str, str]) -> str:
    """The text and that of every function it calls."""
    parts, waiting, seen = [text], _CALL.findall(text), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            parts.append(functions[name])
            waiting += _CALL.findall(functions[name])
    return "\n".join(parts)


def _written(text: str) -> set[str]:
    called = "".join(_CALLED.findall(text))  # an output may be any of the arguments
    return set(_ASSIGNED.findall(text)) | set(_SIGNAL.findall(called))


def _arrays(header: str) -> list[tuple[str, int]]:
    """Memories and their bytes."""
    found = _ARRAY.finditer(header)
    return [
        (m[4], int(m[3]) * (4 * int(m[1]) if m[1] else _WORD_BYTES[m[2]])) for m in found if not m[4].startswith("__V")
    ]

"""Verilator's C++ for a PePair, rewritten to evaluate many pairs at once.

Every statement stays Verilator's own; only types and three spellings change, so that `runtime/lanes` can stand in for
Verilator's integers:

* a port that is the same in all pairs becomes an ordinary integer, every other signal a vector with one lane per pair;
* ``(IData)(x)`` and ``(QData)(x)`` become functions, which keep an ordinary integer ordinary;
* ``(c ? a : b)`` becomes ``VL_SELECT(c, a, b)``, which chooses lane by lane where `c` differs between pairs.
"""

import re
from pathlib import Path

from microduet_sim.errors import SimulatorError

PER_PAIR_PORTS = ("i_index", "i_chain_0", "i_chain_1", "o_chain_0", "o_chain_1")
"""Ports whose values differ from pair to pair."""

_PORT = re.compile(r"VL_(?:IN|OUT)(8|16|64|W|)\((\w+),(\d+),(\d+)(?:,(\d+))?\);")
_FUNCTION = re.compile(
    r"^(?:VL_INLINE_OPT |VL_ATTR_COLD |static )*void (\w+)\((\w+)\* vlSelf\) \{\n.*?^\}\n", re.M | re.S
)
_EVALUATION = re.compile(r"___(?:eval_ico|eval_nba|ico_sequent__TOP__\d+|nba_(?:sequent|comb)__TOP__\d+)$")
_NOISE = re.compile(r"^.*(?:VL_DEBUG_IF|vlSymsp VL_ATTR_UNUSED).*\n", re.M)


class UnsupportedModel(SimulatorError):
    """The generated C++ is not that of a plain synchronous pair."""


def lane_header(folder: Path, *, prefix: str, namespace: str) -> str:
    """The header that evaluates lanes of the model `prefix`, which Verilator wrote to `folder`.

    It holds, in `namespace`, ``struct Pair`` with the model's signals and ``void step(Pair&)``: inputs settle, then the
    clock rises.

    Raises
    ------
    UnsupportedModel
        If the model has something that a synchronous pair without reset does not have.
    """
    header = (folder / f"{prefix}___024root.h").read_text()
    sources = sorted(folder.glob(f"{prefix}___024root__[0-9]*.cpp"))
    code = "".join(path.read_text() for path in sources if "__Slow" not in path.name)
    functions = {m[1]: m[0] for m in _FUNCTION.finditer(code) if _EVALUATION.search(m[1])}
    phases = [name for name in (f"{prefix}___024root___eval_{phase}" for phase in ("ico", "nba")) if name in functions]
    if f"{prefix}___024root___eval_nba" not in phases:
        raise UnsupportedModel(f"{prefix} has no clocked logic")
    body = "\n".join(_rewrite(functions[name]) for name in _called_first(functions))
    root = f"{prefix}___024root"
    return (
        f'#pragma once\n#include <functional>\n#include "functions.h"\n\nnamespace {namespace} {{\n'
        "using namespace lanes;\n"
        f"{_fields(header, root)}\n"
        + "".join(f"static void {name}({root}* vlSelf);\n" for name in functions)
        + body
        + f"\nusing Pair = {root};\n\nstatic void step(Pair& pair) {{\n"
        + "".join(f"    {name}(&pair);\n" for name in phases)
        + f"}}\n\n}}  // namespace {namespace}\n"
    )


def port_widths(folder: Path, *, prefix: str) -> dict[str, int]:
    """Bits of each port of the model `prefix`."""
    header = (folder / f"{prefix}___024root.h").read_text()
    return {m[2]: int(m[3]) - int(m[4]) + 1 for m in _PORT.finditer(header)}


def _called_first(functions: dict[str, str]) -> list[str]:
    return sorted(functions, key=lambda name: ("_eval_" in name, name))


def _fields(header: str, root: str) -> str:
    match = re.search(r"// DESIGN SPECIFIC STATE\n(.*?)// INTERNAL VARIABLES", header, re.S)
    if match is None:
        raise UnsupportedModel(f"{root} has no signals")
    # Verilator wraps many members in structures without a name, which must not have constructors.
    fields = re.sub(r"^ *(?:struct \{|\};)$", "", _PORT.sub(_port, match[1]), flags=re.M)
    fields = re.sub(r"VlUnpacked<QData/\*63:0\*/, 1> (__V\w+Triggered);", r"uint64_t \1[1] = {1};", fields)
    return f"struct alignas(64) {root} {{\n{fields}}};\n"


def _port(match: re.Match[str]) -> str:
    size, name, words = match[1], match[2], match[5]
    if name in PER_PAIR_PORTS:
        kind = {"8": "CData", "16": "SData", "": "IData", "64": "QData", "W": f"VlWide<{words}>"}[size]
    else:
        kind = {"64": "uint64_t", "W": f"UniformWide<{words}>"}.get(size, "uint32_t")
    return f"{kind} {name};"


def _rewrite(function: str) -> str:
    text = _NOISE.sub("", function)
    text = re.sub(r"^(?:VL_INLINE_OPT |VL_ATTR_COLD |static )*void", "static LANES_INLINE void", text)
    text = text.replace("(IData)(", "to_word(").replace("(QData)(", "to_double(")
    return _selects(text)


def _selects(text: str) -> str:
    while (mark := text.find("?")) >= 0:
        start = _scan(text, mark - 1, step=-1, stop="(")
        colon = _scan(text, mark + 1, step=1, stop=":")
        end = _scan(text, colon + 1, step=1, stop=")")
        parts = (text[start + 1 : mark], text[mark + 1 : colon], text[colon + 1 : end])
        text = f"{text[:start]}VL_SELECT({', '.join(part.strip() for part in parts)}{text[end:]}"
    return text


def _scan(text: str, place: int, *, step: int, stop: str) -> int:
    """The next `stop` outside parentheses, from `place` on."""
    depth = 0
    opening, closing = ("(", ")") if step > 0 else (")", "(")
    while depth or text[place] != stop:
        depth += (text[place] == opening) - (text[place] == closing)
        if depth < 0 or text[place] == ";":
            raise UnsupportedModel(f"a conditional without parentheses near {text[place - 40 : place]!r}")
        place += step
    return place

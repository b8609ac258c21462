"""The points that Verilator counts, by names of the Python source instead of places in the generated Verilog."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

ARTEFACT = "$auto$verilog_backend"
"""Yosys writes an empty `if` of such a net into every combinational block; nothing can ever take it."""

_FIELD = re.compile("\x01([^\x02]+)\x02([^\x01']*)")
_NET = re.compile(r"\\(\S+) |(?<![\w'$\\.])([A-Za-z_][\w$]*)")
_ALIKE = re.compile(r"(?<=[a-z])_\d+(?=_|$)")
_NUMBER = re.compile(r"\d+'([hbd])0*(?=[0-9a-f])")
_CONDITION = re.compile(r"\b(?:if|casez) \((?:\\(\S+) |([\w$]+))\s*\)")
_KEPT = re.compile(r"    (?:\\(\S+) |([\w$]+))\s*(\[\d+(?::\d+)?\])? = (?:\\(\S+) |([\w$]+))\s*(\[\d+(?::\d+)?\])?;")
"""The one statement of a block: what a register that is assigned in part does with its other bits."""
_ELEMENT = re.compile(r"\s*wire(?: signed)? (?:\[(\d+):0\] )?\\([^\s.\[$]+)\[\d+\] ;")
_WORDS = {"if", "else", "begin", "end", "casez", "default", "endcase", "posedge", "negedge", "always", "assign"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One thing that a bench can reach.

    Members
    -------
    module : Verilog module
    key : "kind: what", the same for every build of the component; kind is line, branch or toggle
    count : how often it was reached
    """

    module: str
    key: str
    count: int


@dataclass(kw_only=True)
class _Module:
    """What is known of the nets of one Verilog module."""

    sources: dict[str, str] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)
    targets: dict[str, str] = field(default_factory=dict)
    """Name of the register behind each net that a combinational block computes for it."""
    kept: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Nets, and the one whose bits they are in all cases."""
    elements: dict[str, int] = field(default_factory=dict)
    """Bits of an element of each net that is an array."""

    def label(self, net: str) -> str:
        """A net's name, without the number that a loop gives it; the place in the source if it was given none."""
        if not net.startswith("$"):
            return _ALIKE.sub("_#", net.split("$", maxsplit=1)[0])
        return self.sources.get(net, "?")


def _modules(lines: list[str]) -> tuple[dict[str, _Module], list[str]]:
    """Nets of every module, and the module of every line."""
    modules: dict[str, _Module] = {}
    of_line: list[str] = []
    name, source, before = "", "", ""
    for line in lines:
        if started := re.match(r"module (?:\\(\S+) |(\w+))", line):
            name = started[1] or started[2]
            modules[name] = _Module()
        of_line.append(name)
        if said := re.match(r'\s*\(\* src = "([^"|]+)', line):
            source = "/".join(said[1].split("/")[-1:])
            continue
        if name:
            _learn(modules[name], line, source)
            _learn_shape(modules[name], line, alone=before == "  always @*")
        before = line
        if not re.match(r"\s*\(\*", line):
            source = ""
    for module in modules.values():
        for net, register, part in module.kept:
            if module.targets.get(net) == register:
                module.constants.update(_bits(register, part))
    return modules, of_line


def _learn(module: _Module, line: str, source: str) -> None:
    if memory := re.match(r"\s*reg (?:\[[^]]*\] )?(?:\\(\S+) |([\w$]+)) \[[^]]*\];", line):
        # Verilator counts the bits of small memories only, and the ports show the same ones.
        module.constants.add(memory[1] or memory[2])
    if declared := re.match(r"\s*(?:input|output|wire|reg)(?: signed)? (?:\[[^]]*\] )?(?:\\(\S+) |([\w$]+))", line):
        if source:
            module.sources.setdefault(declared[1] or declared[2], source)
    elif tied := re.match(r"\s*assign (?:\\(\S+) |([\w$]+))\s*(\[\d+(?::\d+)?\])? = \d+'[hbds][\w]+;", line):
        net, part = tied[1] or tied[2], tied[3]
        module.constants.update(_bits(net, part))
    elif made := re.match(r'\s*assign \\(\S+) .*\(\* src = "([^"|]+)"', line):
        module.sources.setdefault(made[1], made[2].split("/")[-1])
    elif clocked := re.match(r"\s*(?:\\(\S+) |([\w$]+)) <= \\(\S+) ;", line):
        module.targets[clocked[3]] = clocked[1] or clocked[2]


def _learn_shape(module: _Module, line: str, *, alone: bool) -> None:
    """Learn which bits are elements of an array, and which a register keeps for ever (`alone`: a block's one line)."""
    if element := _ELEMENT.match(line):
        module.elements[element[2]] = int(element[1] or 0) + 1
    elif alone and (kept := _KEPT.match(line)) and kept[3] == kept[6]:
        module.kept.append((kept[1] or kept[2], kept[4] or kept[5], kept[3]))


def _bits(net: str, part: str | None) -> Iterator[str]:
    if part is None:
        yield net
    else:
        ends = [int(end) for end in part.strip("[]").split(":")]
        yield from (f"{net}[{bit}]" for bit in range(ends[-1], ends[0] + 1))


def _named(text: str, module: _Module) -> str:
    """A line of Verilog with nets by their labels and numbers without the bits they take."""

    def name(found: re.Match[str]) -> str:
        net = found[1] or found[2]
        return net if net in _WORDS else module.label(net)

    named = _NET.sub(name, re.sub(r"\(\*.*?\*\)", "", text))
    return re.sub(r"\s+", " ", _NUMBER.sub(r"'\1", named)).strip()


def _tied(line: str, module: _Module) -> bool:
    """Whether a line's condition is a constant in this build."""
    return any((found[1] or found[2]) in module.constants for found in _CONDITION.finditer(line))


def _chain(lines: list[str], number: int, module: _Module) -> str | None:
    """The signal that a line's block computes, and the lines from the block's first one to it, by indentation.

    None if one of their conditions is a constant: then there is no choice to be reached.
    """
    chain = [lines[number]]
    depth = len(lines[number]) - len(lines[number].lstrip())
    while "always @" not in lines[number] and number > 0:
        number -= 1
        indent = len(lines[number]) - len(lines[number].lstrip())
        if indent < depth and lines[number].strip():
            chain.insert(0, lines[number])
            depth = indent
    if any(_tied(line, module) for line in chain):
        return None
    target = ""
    for line in lines[number + 1 : number + 3]:
        if assigned := re.match(r"\s*(?:\\(\S+) |([\w$]+))\s*(?:\[[^]]*\] )?<?= ", line):
            net = assigned[1] or assigned[2]
            target = module.label(module.targets.get(net, net))
    steps = [_named(line, module) for line in chain if "always @" not in line]
    return " > ".join([target, *steps])


def _toggle(comment: str, module: _Module) -> str | None:
    """Key of a bit's rise or fall; None if it is not a point.

    No points are: nets that the source does not name, views of a bit that has a name already (fields, elements), words
    of memories, and bits that are tied to a constant or that a register always keeps, which cannot move. Elements of an
    array are alike, as what a loop makes is.
    """
    raw, edge = comment.split(":", 1)
    if re.search("__02e|__05b", raw):
        return None
    bit = re.sub("__0([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), raw)
    net = bit.split("[")[0]
    if bit in module.constants or net in module.constants or re.match(r"\$(\d+$|auto\$)", net):
        return None
    # A signal of one bit has no index, and has one in a build with larger parameters.
    index = bit[len(net) :] or "[0]"
    if (width := module.elements.get(net.split("$", maxsplit=1)[0])) and (number := re.fullmatch(r"\[(\d+)\]", index)):
        index = f"[#][{int(number[1]) % width}]"
    return f"toggle: {module.label(net)}{index} {'rise' if edge == '0->1' else 'fall'}"


def points(*, verilog: str, counts: str) -> Iterator[Point]:
    """Every point of a simulation.

    Parameters
    ----------
    verilog : the text that was simulated, with places of the source as attributes
    counts : Verilator's ``coverage.dat``
    """
    lines = verilog.splitlines()
    modules, of_line = _modules(lines)
    for entry in counts.splitlines():
        if not entry.startswith("C '"):
            continue
        said: Mapping[str, str] = dict(_FIELD.findall(entry))
        kind, module = said["page"].removeprefix("v_").split("/", 1)
        number = int(said["l"]) - 1
        if not said["f"].endswith("top.v") or number >= len(lines):
            continue
        module = of_line[number]
        if kind == "toggle":
            key = _toggle(said["o"], modules[module])
        elif ARTEFACT in lines[number] or "always @" not in _block(lines, number):
            key = None
        else:
            chain = _chain(lines, number, modules[module])
            key = chain and f"{kind}: {chain} ({said['o']})"
        if key:
            yield Point(module=module, key=key, count=int(entry.rsplit(" ", 1)[1]))


def _block(lines: list[str], number: int) -> str:
    """The first line of the block that a line stands in; empty outside of blocks."""
    while number > 0 and re.match(r"    |  end", lines[number]):
        number -= 1
    return lines[number]

"""Who makes the streams that leave a component: itself, or a part of it whose stream it passes on as it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable, Signal, Value
from amaranth.hdl._ast import Assign
from amaranth.hdl._ir import Fragment
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from tests.support.channels import channels
from tests.support.coverage import class_name


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """A stream that leaves a component and that can be stopped; `maker`, the class that it is made by."""

    owner: str
    valid: str
    maker: str


@dataclass(frozen=True, kw_only=True)
class _Ends:
    """Signals of a stream that leaves `owner`: its own, by what they are called behind the stream's name."""

    owner: wiring.Component
    valid: str
    ready: Signal
    offer: tuple[Signal, ...]


def _component(fragment: Fragment) -> wiring.Component | None:
    made = [one for one in fragment.origins or () if isinstance(one, wiring.Component)]
    return made[-1] if made else None


def _ends(component: wiring.Component) -> Iterator[_Ends]:
    ports: dict[str, tuple[Any, Signal]] = {}
    for path, member, value in component.signature.flatten(component):
        if isinstance(signal := Value.cast(value), Signal):  # a ready that is always high is none
            ports["__".join(map(str, path))] = member, signal
    for one in channels(ports):
        if one.ready in ports and ports[one.valid][0].flow is Out:
            offer = tuple(ports[name][1] for name in (one.valid, *sorted(one.payloads)))
            yield _Ends(owner=component, valid=one.valid, ready=ports[one.ready][1], offer=offer)


def _passes_on(fragment: Fragment, outer: _Ends, inner: _Ends) -> bool:
    """Whether all that a part offers is on the outer stream, and the part is told what was taken."""
    ties = {(id(outer.ready), id(inner.ready))}
    ties |= {(id(b), id(a)) for a, b in zip(outer.offer, inner.offer, strict=False)}
    found = [one for one in fragment.statements.get("comb", ()) if isinstance(one, Assign)]
    return len(outer.offer) == len(inner.offer) and ties <= {(id(one.rhs), id(one.lhs)) for one in found}


def leaving(top: Elaboratable) -> tuple[list[Leaving], set[str]]:
    """Streams that leave any component inside `top`, itself among them; and the classes of all these components."""
    seen: set[str] = set()
    found: list[Leaving] = []

    def visit(fragment: Fragment) -> list[tuple[_Ends, str]]:
        inner = [pair for part, *_ in fragment.subfragments for pair in visit(part)]
        component = _component(fragment)
        if component is None:
            return inner
        name, made = class_name(type(component)), []
        seen.add(name)
        for outer in _ends(component):
            makers = [maker for ends, maker in inner if _passes_on(fragment, outer, ends)]
            made.append((outer, makers[0] if makers else name))
            found.append(Leaving(owner=name, valid=outer.valid, maker=made[-1][1]))
        return made

    visit(Fragment.get(top, None))
    return found, seen

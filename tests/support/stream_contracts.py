"""That any component keeps the stream rules, if its inputs keep them: a contract without a word of the component."""

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tests.support.channels import Channel, channels
from tests.support.contracts import Contract

Needs = Callable[[Module, dict[str, Any]], Iterable[Value]]
"""What a component supposes of its surroundings beside the stream rules, of its ports: each holds in every cycle."""


Counts = Callable[[Value], Value]
"""What counts of an offered payload: what means nothing may change while the rest waits."""


class Fault(enum.Enum):
    """What a proof must not survive."""

    WITHDRAWN = "a register behind the component takes back an offer that was not taken"
    CHANGED = "a register behind the component lets an offer that was not taken change"
    INPUTS = "inputs take back or change what they offer"
    NEEDS = "surroundings do what the component supposes that they don't"


class StreamContract(Contract):
    """Any component: what an output stream offers stands, valid and payload, until it is taken.

    Every output stream has its cover point: an offer that had to wait was taken.

    Parameters
    ----------
    dut : the component; its clocks are one
    needs : what it supposes beside the stream rules of its inputs
    counts : by the stream's name, if not all of its payload means something
    fault : breaks the proof on purpose
    """

    def __init__(
        self,
        dut: wiring.Component,
        *,
        needs: Needs | None = None,
        counts: Mapping[str, Counts] | None = None,
        fault: Fault | None = None,
    ) -> None:
        self._needs, self._counts, self._fault = needs, counts or {}, fault
        super().__init__(dut)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        for channel in channels(ports):
            if channel.ready in ports:
                self._watch(m, ports, channel)
        if self._needs and self._fault is not Fault.NEEDS:
            m.d.comb += [Assume(need) for need in self._needs(m, ports)]

    def _watch(self, m: Module, ports: dict[str, Any], channel: Channel) -> None:
        valid, ready = ports[channel.valid], ports[channel.ready]
        payload = Cat(ports[name] for name in channel.payloads)
        if self._dut.signature.members[channel.valid].flow is In:
            if self._fault is not Fault.INPUTS:
                m.d.comb += Assume(self.holds(m, valid=valid, ready=ready, payload=payload))
            return
        stalled = Signal(name=f"stalled_{channel.valid}")
        m.d.sync += stalled.eq(valid & ~ready)
        if count := self._counts.get(channel.valid.rsplit("__", 1)[0]):
            payload = count(payload)
        m.d.comb += Cover(stalled & valid & ready)
        if self._fault is Fault.WITHDRAWN:
            valid &= ~stalled
        if self._fault is Fault.CHANGED:
            payload ^= stalled
        m.d.comb += Assert(self.holds(m, valid=valid, ready=ready, payload=payload))

"""The engine as a card's tools take it: Vitis names for clocks, resets and ports."""

import typing

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Shape, Signal, Value
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import Component, In, Member, Out, Signature

from microduet_hw.bases import CARD_BITS, BaseRegisters, card_address
from microduet_hw.config import EngineConfig
from microduet_hw.engine import outside
from microduet_hw.lookup.unit import port_name

CLOCKS = {"sync": "ap_clk", "mem": "ap_clk_2"}
"""Clock port of each domain."""

RESETS = {"sync": "ap_rst_n", "mem": "ap_rst_n_2"}
"""Reset port of each domain, active low."""


CONTROL = "s_axi_control__"
"""Prefix of the engine's control ports."""


def engine_ports(config: EngineConfig) -> dict[str, Member]:
    """Ports of the engine by their Verilog names, ``m_axi_00__araddr``; the probe is left out."""
    members = outside(config)
    del members["probe_vector"]
    signature = Signature(members)
    ports = signature.flatten(signature.create())
    return {"__".join(map(str, path)): typing.cast(Member, member) for path, member, _ in ports}


def kernel_ports(config: EngineConfig) -> dict[str, Member]:
    """Ports of the kernel but for clocks and resets: the engine's, with addresses of the whole card."""
    members = {kernel_name(name): member for name, member in engine_ports(config).items()}
    return {
        name: Out(CARD_BITS) if name.endswith("_araddr") and member.flow is Out else member
        for name, member in members.items()
    }


class Kernel(Component):
    """An engine with the clock and reset ports of a Vitis RTL kernel; resets end in step with their clocks.

    Latency: none, but `BaseRegisters`'s on the control port.
    Throughput: the engine's.
    Back-pressure: nothing is taken until the reset has ended inside too, a few cycles after it has outside.
    Reset: the engine's, and every base is 0.
    The engine's addresses count from its channels' bases (`BaseRegisters`), 0 unless they are written.

    Parameters
    ----------
    config : the engine's configuration

    Members
    -------
    `CLOCKS`, `RESETS`, and the engine's ports, joined by one underscore (``m_axi_00_araddr``).
    """

    def __init__(self, *, config: EngineConfig) -> None:
        self._ports, self._channels = engine_ports(config), config.channels
        own = {name: In(1) for name in (*CLOCKS.values(), *RESETS.values())}
        super().__init__(own | kernel_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for domain, clock in CLOCKS.items():
            m.domains += ClockDomain(domain, local=True)
            m.d.comb += ClockSignal(domain).eq(getattr(self, clock))
            m.submodules[f"reset_{domain}"] = ResetSynchronizer(~getattr(self, RESETS[domain]), domain=domain)
        m.submodules.bases = bases = BaseRegisters(channels=len(self._channels))
        ports: dict[str, Value] = {"o_probe_vector": Signal(name="probe_vector")}
        addresses = {f"{port_name(source)}__araddr": bases.o_bases[k] for k, source in enumerate(self._channels)}
        for name, member in self._ports.items():
            outer = getattr(self, kernel_name(name))
            if name.startswith(CONTROL):
                ports |= self._control(m, bases, name, member)
            elif name in addresses:
                ports[f"o_{name}"] = address = Signal(member.shape, name=f"engine_{name}")
                m.d.comb += outer.eq(card_address(addresses[name], address))
            elif member.flow is Out:
                ports[f"o_{name}"] = self._output(m, name, outer)
            else:
                ports[f"i_{name}"] = outer & _awake(name) if name.endswith("valid") else outer
        for name, value in (("clk", ClockSignal()), ("mem_clk", ClockSignal("mem"))):
            ports[f"i_{name}"] = value
        for name, value in (("rst", ResetSignal()), ("mem_rst", ResetSignal("mem"))):
            ports[f"i_{name}"] = value
        m.submodules.engine = Instance("engine", **ports)
        return m

    def _control(self, m: Module, bases: BaseRegisters, name: str, member: Member) -> dict[str, Value]:
        """The engine's control port `name`, behind the bases' registers."""
        field, outer = name.removeprefix(CONTROL), getattr(self, kernel_name(name))
        front, back = getattr(bases.s_axi_control, field), getattr(bases.m_axi_control, field)
        if member.flow is Out:
            m.d.comb += outer.eq(front & _awake(name) if field.endswith("ready") else front)
            return {f"o_{name}": back}
        m.d.comb += front.eq(outer & _awake(name) if field.endswith("valid") else outer)
        return {f"i_{name}": back}

    def _output(self, m: Module, name: str, outer: Signal) -> Signal:
        """The engine's side of an output."""
        if not name.endswith("ready"):
            return outer
        inner = Signal(name=f"engine_{name}")
        m.d.comb += outer.eq(inner & _awake(name))
        return inner


def _awake(name: str) -> Value:
    """Whether the domain of the stream to which port `name` belongs is out of reset."""
    return ~ResetSignal(domain_of(name))


def domain_of(port: str) -> str:
    """Clock domain of the engine's port `port`."""
    return "mem" if port.startswith(("s_axis_items", "m_axi_")) else "sync"


def kernel_name(port: str) -> str:
    """Name on the kernel of the engine's port `port`."""
    return port.replace("__", "_")


def bits_of(member: Member) -> int:
    """Bits of a port."""
    return Shape.cast(member.shape).width

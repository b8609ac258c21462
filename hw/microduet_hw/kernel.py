"""The engine as a card's tools take it: Vitis names for clocks, resets and ports."""

import typing

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Shape, Signal, Value
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import Component, In, Member, Out, Signature

from microduet_hw.config import EngineConfig
from microduet_hw.engine import outside

CLOCKS = {"sync": "ap_clk", "mem": "ap_clk_2"}
"""Clock port of each domain."""

RESETS = {"sync": "ap_rst_n", "mem": "ap_rst_n_2"}
"""Reset port of each domain, active low."""


def engine_ports(config: EngineConfig) -> dict[str, Member]:
    """Ports of the engine by their Verilog names, ``m_axi_00__araddr``; the probe is left out."""
    members = outside(config)
    del members["probe_vector"]
    signature = Signature(members)
    ports = signature.flatten(signature.create())
    return {"__".join(map(str, path)): typing.cast(Member, member) for path, member, _ in ports}


class Kernel(Component):
    """An engine with the clock and reset ports of a Vitis RTL kernel; resets end in step with their clocks.

    Back-pressure: nothing is taken until the reset has ended inside too, a few cycles after it has outside.

    Parameters
    ----------
    config : the engine's configuration

    Members
    -------
    `CLOCKS`, `RESETS`, and the engine's ports, joined by one underscore (``m_axi_00_araddr``).
    """

    def __init__(self, *, config: EngineConfig) -> None:
        self._ports = engine_ports(config)
        own = {name: In(1) for name in (*CLOCKS.values(), *RESETS.values())}
        super().__init__(own | {kernel_name(name): member for name, member in self._ports.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for domain, clock in CLOCKS.items():
            m.domains += ClockDomain(domain, local=True)
            m.d.comb += ClockSignal(domain).eq(getattr(self, clock))
            m.submodules[f"reset_{domain}"] = ResetSynchronizer(~getattr(self, RESETS[domain]), domain=domain)
        ports: dict[str, Value] = {"o_probe_vector": Signal(name="probe_vector")}
        for name, member in self._ports.items():
            outer = getattr(self, kernel_name(name))
            if member.flow is Out:
                ports[f"o_{name}"] = self._output(m, name, outer)
            else:
                ports[f"i_{name}"] = outer & _awake(name) if name.endswith("valid") else outer
        for name, value in (("clk", ClockSignal()), ("mem_clk", ClockSignal("mem"))):
            ports[f"i_{name}"] = value
        for name, value in (("rst", ResetSignal()), ("mem_rst", ResetSignal("mem"))):
            ports[f"i_{name}"] = value
        m.submodules.engine = Instance("engine", **ports)
        return m

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

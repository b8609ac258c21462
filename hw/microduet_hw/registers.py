"""The register map: start, done, interrupts as Vitis kernels have them, then counters."""

import enum
from collections.abc import Mapping
from typing import Any, Protocol

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import LiteMaster
from microduet_hw.config import EngineConfig
from microduet_hw.edge.config import EdgeConfig

ADDRESS_BITS = 12
COUNTER_BASE = 0x40
CHANNEL_BASE = 0x400
STRAY_BASE = 0x600


class Register(enum.IntEnum):
    """Byte addresses of the registers that are not counters."""

    CONTROL = 0x00
    """Bit 0 ap_start (set to start, clears itself), 1 ap_done (cleared by reading), 2 ap_idle, 3 ap_ready."""
    GLOBAL_INTERRUPT = 0x04
    """Bit 0: interrupts are on."""
    INTERRUPT_ENABLE = 0x08
    """Bit 0: on ap_done, bit 1: on ap_ready."""
    INTERRUPT_STATUS = 0x0C
    """As the enable bits; writing a one toggles it."""
    ITEMS = 0x10
    """Items of the next run, at least 1."""
    DIGEST = 0x18
    """First 32 bits of the configuration's SHA-256 (read only): does a bundle fit this engine?"""
    LOADED = 0x1C
    """CRC-32, as zlib has it, of all load beats since the reset (read only): has the engine taken what was sent?"""
    CHECKED = 0x20
    """CRC-32, as zlib has it, of all that check beats have read since the reset (read only; only in a unit whose
    weights can be checked): are weights what was loaded?"""


class Controlled(Protocol):
    """What the registers of a unit depend on: an `EngineConfig` or an `EdgeConfig`."""

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration, as hexadecimal text."""
        ...

    @property
    def counters(self) -> tuple[str, ...]:
        """Events that are counted while a run is on, 64 bits each, from `COUNTER_BASE` on; the first is "cycles"."""
        ...

    @property
    def channels(self) -> tuple[int, ...]:
        """Memory channels, each with a count of reads and one of stalls."""
        ...


def checks_weights(config: Controlled) -> bool:
    """Whether a unit has the register `CHECKED`."""
    return isinstance(config, EngineConfig | EdgeConfig) and config.weight_check


def register_map(config: Controlled) -> dict[str, int]:
    """Byte address of every register by name; counters have a low word and, 4 bytes on, a high one."""
    registers = {register.name.lower(): int(register) for register in Register}
    if not checks_weights(config):
        del registers["checked"]
    registers |= {name: COUNTER_BASE + 8 * k for k, name in enumerate(config.counters)}
    for k, source in enumerate(config.channels):
        registers |= {
            f"channel_{source:02}_reads": CHANNEL_BASE + 8 * k,
            f"channel_{source:02}_stalls": CHANNEL_BASE + 8 * k + 4,
            f"channel_{source:02}_strays": STRAY_BASE + 4 * k,
        }
    return registers


class ControlRegisters(wiring.Component):
    """AXI4-Lite slave with the layout of a Vitis kernel (ap_ctrl_hs) and the engine's counters.

    Latency: a read answers one cycle after its address, a write one cycle after address and data.
    Throughput: a read and a write every other cycle.
    Back-pressure: one answer of each kind is kept until it is taken.
    Reset: idle, counters zero. Starting a run clears the counters.
    Unmapped addresses read zero, and writing them changes nothing.

    Parameters
    ----------
    config : names the counters

    Members
    -------
    s_axi_control : AXI4-Lite
    interrupt : level, as enabled
    o_run, o_items : a run is on; how many items it takes, which does not change until the next one starts
    i_result : an item has left
    i_events : one bit per counter of the configuration; "cycles" is ignored, it counts every cycle of a run
    i_loaded : CRC-32 of all load beats
    i_checked : CRC-32 of all that check beats read; only if weights can be checked
    i_reads, i_stalls, i_strays : per memory channel; another clock's, so they may be read only when the engine is idle
    """

    s_axi_control: Any
    interrupt: Signal
    o_run: Signal
    o_items: Signal
    i_result: Signal
    i_events: Signal
    i_loaded: Signal
    i_checked: Signal
    i_reads: data.View
    i_stalls: data.View
    i_strays: data.View

    def __init__(self, *, config: Controlled) -> None:
        self._config = config
        # At least one: Verilog has no empty vectors.
        channel = data.ArrayLayout(unsigned(32), max(1, len(config.channels)))
        super().__init__(
            {
                "s_axi_control": In(LiteMaster(address_bits=ADDRESS_BITS)),
                "interrupt": Out(1),
                "o_run": Out(1),
                "o_items": Out(32),
                "i_result": In(1),
                "i_events": In(len(config.counters)),
                "i_loaded": In(32),
                **({"i_checked": In(32)} if checks_weights(config) else {}),
                "i_reads": In(channel),
                "i_stalls": In(channel),
                "i_strays": In(channel),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        done, left, items = Signal(), Signal(32), Signal(32, init=1)
        start = Signal()
        control = Cat(self.o_run, done, ~self.o_run, done)
        enable, status, on = Signal(2), Signal(2), Signal()
        toggled = Signal(2)
        m.d.comb += [self.interrupt.eq(on & (enable & status).any()), toggled.eq(status)]
        m.d.sync += status.eq(toggled)
        read_control = self._read(
            m,
            {
                Register.CONTROL: control,
                Register.GLOBAL_INTERRUPT: on,
                Register.INTERRUPT_ENABLE: enable,
                Register.INTERRUPT_STATUS: status,
                Register.ITEMS: items,
                Register.LOADED: self.i_loaded,
                **({Register.CHECKED: self.i_checked} if checks_weights(self._config) else {}),
                Register.DIGEST: Value.cast(int(self._config.digest[:8], 16)),
                **self._counters(m, start),
            },
        )
        address, word, write = self._write(m)
        with m.If(read_control):
            m.d.sync += done.eq(0)
        with m.If(write), m.Switch(address):
            with m.Case(Register.CONTROL):
                m.d.comb += start.eq(word[0] & ~self.o_run)
            with m.Case(Register.GLOBAL_INTERRUPT):
                m.d.sync += on.eq(word[0])
            with m.Case(Register.INTERRUPT_ENABLE):
                m.d.sync += enable.eq(word[:2])
            with m.Case(Register.INTERRUPT_STATUS):
                m.d.comb += toggled.eq(status ^ word[:2])
            with m.Case(Register.ITEMS):
                m.d.sync += items.eq(Mux(word == 0, 1, word))
        with m.If(self.i_result & self.o_run):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 1):
                m.d.sync += [self.o_run.eq(0), done.eq(1), status.eq(toggled | enable)]
        with m.If(start):
            m.d.sync += [self.o_run.eq(1), self.o_items.eq(items), left.eq(items), done.eq(0)]
        return m

    def _counters(self, m: Module, start: Signal) -> dict[int, Value]:
        values: dict[int, Value] = {}
        for k, name in enumerate(self._config.counters):
            counter = Signal(64, name=name)
            event = self.o_run if name == "cycles" else self.i_events[k] & self.o_run
            with m.If(start):
                m.d.sync += counter.eq(0)
            with m.Elif(event):
                m.d.sync += counter.eq(counter + 1)
            values |= {COUNTER_BASE + 8 * k: counter[:32], COUNTER_BASE + 8 * k + 4: counter[32:]}
        for k in range(len(self._config.channels)):
            values |= {CHANNEL_BASE + 8 * k: self.i_reads[k], CHANNEL_BASE + 8 * k + 4: self.i_stalls[k]}
            values |= {STRAY_BASE + 4 * k: self.i_strays[k]}
        return values

    def _read(self, m: Module, values: Mapping[int, Value]) -> Value:
        """Answer reads; the result is high when the control register is read."""
        bus = self.s_axi_control
        m.d.comb += bus.arready.eq(~bus.rvalid)
        taken = bus.arvalid & bus.arready
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(taken):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(0)]
            with m.Switch(bus.araddr):
                for address, value in values.items():
                    with m.Case(int(address)):
                        m.d.sync += bus.rdata.eq(value)
        return taken & (bus.araddr == Register.CONTROL)

    def _write(self, m: Module) -> tuple[Value, Value, Value]:
        """Take writes when address and data are there: (address, data, now)."""
        bus = self.s_axi_control
        taken = bus.awvalid & bus.wvalid & ~bus.bvalid
        m.d.comb += [bus.awready.eq(taken), bus.wready.eq(taken)]
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(taken):
            m.d.sync += bus.bvalid.eq(1)
        return bus.awaddr, bus.wdata, taken & bus.wstrb.all()

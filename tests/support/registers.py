"""Control registers in a bench: an engine that has some, a host in front of them, and what they should do per cycle."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from microduet_hw.config import Array, EngineConfig, Feature, Layer, Part, Precision, Source, SourceKind
from microduet_hw.registers import ADDRESS_BITS, Controlled, Register, register_map
from tests.support.bench import bench_parameters
from tests.support.flow import begin

ALL_BYTES = 0xF
WRITABLE = (
    Register.CONTROL,
    Register.GLOBAL_INTERRUPT,
    Register.INTERRUPT_ENABLE,
    Register.INTERRUPT_STATUS,
    Register.ITEMS,
)


def engine(*, kind: SourceKind = SourceKind.HBM) -> EngineConfig:
    """Three sources of one kind and one array."""
    sources = tuple(
        Source(kind=kind, parts=(Part(feature=k, rows=4, columns=4, base=0, stride_log2=5),)) for k in range(3)
    )
    return EngineConfig(
        name="registers",
        precision=Precision.FIXED16,
        features=tuple(Feature(rows=4, dim=4, position=4 * k) for k in range(3)),
        sources=sources,
        hidden=(Layer(inputs=12, outputs=4),),
        output=Layer(inputs=4, outputs=1),
        arrays=(Array(pes=4, lanes=4, drain=4, layers=(0,)),),
    )


def pauses(probability: float) -> Iterator[bool]:
    """Whether a channel pauses, cycle by cycle."""
    rng = random.Random(random.getrandbits(64))
    while True:
        yield rng.random() < probability


async def connect(dut: Any) -> AxiLiteMaster:
    """A master with random pauses on all five channels."""
    inputs = ("i_result", "i_events", "i_loaded", "i_checked", "i_reads", "i_stalls", "i_strays")
    await begin(dut, **{name: 0 for name in inputs if hasattr(dut, name)})
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_control_"), dut.clk, dut.rst)
    reads, writes = master.read_if, master.write_if
    for channel in (reads.ar_channel, reads.r_channel, writes.aw_channel, writes.w_channel, writes.b_channel):
        channel.set_pause_generator(pauses(bench_parameters()["pause"]))
    await RisingEdge(dut.clk)
    return master


async def results(dut: Any, count: int, *, wait: float = 0.5) -> None:
    """Let `count` items leave, with random gaps."""
    while count:
        await FallingEdge(dut.clk)
        leaves = random.random() >= wait
        dut.i_result.value = int(leaves)
        count -= leaves
    await FallingEdge(dut.clk)
    dut.i_result.value = 0


def readable(config: Controlled) -> list[int]:
    """Addresses that need not read zero."""
    registers = register_map(config)
    return [*registers.values(), *(registers[name] + 4 for name in config.counters)]


def neighbours(addresses: Sequence[int], *, times: int) -> Iterator[int]:
    """Each address so many times and each that differs from one in a bit, shuffled, again and again."""
    pool = [*list(addresses) * times, *(address ^ 1 << bit for address in addresses for bit in range(ADDRESS_BITS))]
    while True:
        yield from random.sample(pool, len(pool))


def any_items() -> int:
    """Mostly a few, so that runs end; or a few more than a power of two, which must not look like a few."""
    few = random.randrange(5)
    return random.choice([few, few, few | 1 << random.randrange(32), random.getrandbits(32)])


def any_write(address: int) -> dict[str, int]:
    """A write to an address; now and then of a part of a word."""
    data = any_items() if address == Register.ITEMS else random.getrandbits(32) | random.getrandbits(1)
    strobe = ALL_BYTES if random.random() < 0.85 else ALL_BYTES ^ 1 << random.randrange(4)
    return {"awaddr": address, "wdata": data, "wstrb": strobe}


class HostPort:
    """A host's reads or writes that keep the rules of AXI4-Lite: what is asked stays until it is taken.

    Parameters
    ----------
    dut : the top level
    asks, answers : its channels: ar and r, or aw and w and b
    accesses : values of the channels' signals, access by access
    """

    def __init__(self, dut: Any, *, asks: tuple[str, ...], answers: str, accesses: Iterator[Mapping[str, int]]) -> None:
        self._dut, self._asks, self._answers, self._accesses = dut, asks, answers, accesses
        self.forget()

    def forget(self) -> None:
        """Nothing is asked."""
        self.access: Mapping[str, int] | None = None
        self.willing = False
        self._shown: set[str] = set()

    def port(self, name: str) -> Any:
        """A signal of the bus."""
        return getattr(self._dut, f"s_axi_control__{name}")

    def offer(self) -> None:
        """Set the inputs of a cycle; address and data of a write need not come together."""
        if self.access is None and random.random() < 0.8:
            self.access = next(self._accesses)
        self._shown |= {name for name in self._asks if self.access and random.random() < 0.8}
        for name in self._asks:
            self.port(f"{name}valid").value = int(name in self._shown)
        for name, value in (self.access or {}).items():
            self.port(name).value = value
        self.willing = random.random() < 0.8
        self.port(f"{self._answers}ready").value = int(self.willing)

    @property
    def asked(self) -> bool:
        """Whether all of an access is there."""
        return len(self._shown) == len(self._asks)

    def take(self) -> Mapping[str, int] | None:
        """The access, which is taken in this cycle."""
        taken, self.access = self.access, None
        self._shown.clear()
        return taken

    def look(self, *, owed: bool) -> Mapping[str, int] | None:
        """The access that is taken in this cycle, if one is: when all of it is there and no answer is `owed`."""
        for name in self._asks:
            # An address may be waited for with ready; a write's two channels are taken together.
            ready = not owed and (self.asked or len(self._asks) == 1)
            assert self.port(f"{name}ready").value == ready, f"{name}ready"
        assert self.port(f"{self._answers}valid").value == owed, f"{self._answers}valid"
        return self.take() if self.asked and not owed else None


class RegistersModel:
    """The registers as a host and an engine see them, cycle by cycle.

    Parameters
    ----------
    config : the unit that they control
    """

    def __init__(self, config: Controlled) -> None:
        self._config, self._map = config, register_map(config)
        self.reset()

    def reset(self) -> None:
        """Idle, all counters zero, no answer owed."""
        self.run, self.done, self.left, self.started, self.items = False, False, 0, 0, 1
        self.on, self.enable, self.status = 0, 0, 0
        self.counters = dict.fromkeys(self._config.counters, 0)
        self.answer: int | None = None
        self.written = False

    @property
    def interrupt(self) -> bool:
        return bool(self.on and self.enable & self.status)

    def values(self, inputs: Mapping[str, int]) -> dict[int, int]:
        """What each register reads as; all other addresses read zero."""
        at, word = self._map, (1 << 32) - 1
        control = self.run | self.done << 1 | (not self.run) << 2 | self.done << 3
        found = {
            Register.CONTROL: control,
            Register.GLOBAL_INTERRUPT: self.on,
            Register.INTERRUPT_ENABLE: self.enable,
            Register.INTERRUPT_STATUS: self.status,
            Register.ITEMS: self.items,
            Register.DIGEST: int(self._config.digest[:8], 16),
            Register.LOADED: inputs["i_loaded"],
        }
        found |= {Register.CHECKED: inputs["i_checked"]} if "i_checked" in inputs else {}
        for name, count in self.counters.items():
            found |= {at[name]: count & word, at[name] + 4: count >> 32}
        for k, channel in enumerate(self._config.channels):
            for kind in ("reads", "stalls", "strays"):
                found[at[f"channel_{channel:02}_{kind}"]] = inputs[f"i_{kind}"] >> 32 * k & word
        return found

    def edge(
        self,
        inputs: Mapping[str, int],
        *,
        read: int | None,
        write: Mapping[str, int] | None,
        willing: tuple[bool, bool],
    ) -> None:
        """Go on to the next cycle: with the address of a read and the write that are taken in this one.

        `willing` says whether the host takes answers to reads and to writes.
        """
        ends, enabled, told = self.run and inputs["i_result"] and self.left == 1, self.enable, self.values(inputs)
        self._count(inputs)
        if read == Register.CONTROL:
            self.done = False
        if write and write["wstrb"] == ALL_BYTES:
            self._write(write["awaddr"], write["wdata"])
        if ends:
            self.run, self.done, self.status = False, True, self.status | enabled
        if read is not None or willing[0]:
            self.answer = None if read is None else told.get(read, 0)
        self.written = write is not None or (self.written and not willing[1])

    def _count(self, inputs: Mapping[str, int]) -> None:
        if self.run:
            self.left -= inputs["i_result"]
            for k, name in enumerate(self.counters):
                counted = 1 if name == "cycles" else inputs["i_events"] >> k & 1
                self.counters[name] = (self.counters[name] + counted) % (1 << 64)

    def _write(self, address: int, word: int) -> None:
        if address == Register.CONTROL and word & 1 and not self.run:
            self.run, self.done, self.left, self.started = True, False, self.items, self.items
            self.counters = dict.fromkeys(self.counters, 0)
        elif address == Register.GLOBAL_INTERRUPT:
            self.on = word & 1
        elif address == Register.INTERRUPT_ENABLE:
            self.enable = word & 3
        elif address == Register.INTERRUPT_STATUS:
            self.status ^= word & 3
        elif address == Register.ITEMS:
            self.items = max(1, word)

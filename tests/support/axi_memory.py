"""A memory behind an AXI4 read port that answers in any order, interleaved, wrongly, late or never."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from microduet_hw.config import AXI_BYTES

OKAY, SLVERR = 0, 2
PAGE = 4096


@dataclass(kw_only=True)
class Fate:
    """What becomes of one read: answered after `latency` cycles, with an error in beat `error_beat`, or never.

    After `pause_beat` beats it is silent for `pause` cycles.
    """

    latency: int = 0
    pause_beat: int = 0
    pause: int = 0
    error_beat: int | None = None
    lost: bool = False


@dataclass(kw_only=True)
class _Read:
    number: int
    due: int
    beats: list[int]
    fate: Fate
    sent: int = 0


@dataclass(kw_only=True)
class Memory:
    """A memory of 256-bit beats behind port `name` of `dut`, clocked by ``mem_clk``.

    Parameters
    ----------
    dut, name : the port ``name__arvalid`` and so on
    read : the beat at a byte address
    fate : of the n-th read
    stall : probability that ARREADY is low in a cycle
    wait : probability that no response is sent in a cycle in which one could be
    in_order : whether responses keep the order of the reads, whole
    """

    dut: Any
    name: str
    read: Callable[[int], int]
    fate: Callable[[int], Fate] = field(default=lambda _number: Fate())
    stall: float = 0.0
    wait: float = 0.0
    in_order: bool = False

    def __post_init__(self) -> None:
        self.cycle = 0
        self.requests: list[tuple[int, int]] = []
        """Address and beats of every read so far."""
        self.request_cycles: list[int] = []
        self.response_cycles: list[int] = []
        """Cycle in which each last beat was taken."""
        self.busy: dict[int, list[_Read]] = {}
        self.open = True
        """Whether ARREADY may be high at all."""
        self._random = random.Random(random.getrandbits(64))
        self._signal("arready").value = 0
        self._signal("rvalid").value = 0
        self._task = cocotb.start_soon(self._run())

    def _signal(self, name: str) -> Any:
        return getattr(self.dut, f"{self.name}__{name}")

    @property
    def pending(self) -> bool:
        """Whether any read is still to be answered."""
        return any(not read.fate.lost for reads in self.busy.values() for read in reads)

    def _choose(self) -> _Read | None:
        """A read whose turn it may be. Of one ID it is always the oldest."""
        due = [reads[0] for reads in self.busy.values() if reads and reads[0].due <= self.cycle]
        due = [read for read in due if not read.fate.lost]
        if not due or self._random.random() < self.wait:
            return None
        if self.in_order:
            oldest = min((r for reads in self.busy.values() for r in reads), key=lambda r: r.number)
            return oldest if oldest in due else None
        return self._random.choice(due)

    def _offer(self, read: _Read | None) -> None:
        self._signal("rvalid").value = int(read is not None)
        if read is None:
            return
        ids = next(number for number, reads in self.busy.items() if reads and reads[0] is read)
        self._signal("rid").value = ids
        self._signal("rdata").value = read.beats[read.sent]
        self._signal("rresp").value = SLVERR if read.fate.error_beat == read.sent else OKAY
        self._signal("rlast").value = int(read.sent == len(read.beats) - 1)

    def _accept(self) -> None:
        address, beats = self._signal("araddr").value.to_unsigned(), self._signal("arlen").value.to_unsigned() + 1
        number = self._signal("arid").value.to_unsigned()
        assert self._signal("arsize").value == 5
        assert self._signal("arburst").value == 1
        assert address // PAGE == (address + beats * AXI_BYTES - 1) // PAGE, f"burst at {address:#x} crosses 4 KiB"
        assert not self.busy.get(number), f"{self.name}: ID {number} is used while it is in flight"
        fate = self.fate(len(self.requests))
        self.requests.append((address, beats))
        self.request_cycles.append(self.cycle)
        data = [self.read(address + AXI_BYTES * k) for k in range(beats)]
        read = _Read(number=len(self.requests) - 1, due=self.cycle + fate.latency, beats=data, fate=fate)
        self.busy[number] = [read]

    async def _run(self) -> None:
        offered: _Read | None = None
        held: Sequence[int] | None = None
        while True:
            await RisingEdge(self.dut.mem_clk)
            if offered is None:
                offered = self._choose()
                self._offer(offered)
            self._signal("arready").value = int(self.open and self._random.random() >= self.stall)
            await ReadOnly()
            valid = self._signal("arvalid").value == 1
            request = [self._signal(n).value.to_unsigned() for n in ("araddr", "arid", "arlen")] if valid else None
            assert held is None or request == held, f"{self.name}: a read changed before it was accepted"
            held = request
            if valid and self._signal("arready").value == 1:
                held = None
                self._accept()
            if offered is not None and self._signal("rready").value == 1:
                offered.sent += 1
                if offered.sent == offered.fate.pause_beat:
                    offered.due = self.cycle + offered.fate.pause
                if offered.sent == len(offered.beats):
                    self.response_cycles.append(self.cycle)
                    self.busy = {number: reads for number, reads in self.busy.items() if reads[0] is not offered}
                offered = None
            self.cycle += 1

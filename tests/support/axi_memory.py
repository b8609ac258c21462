"""A memory behind an AXI4 read port that answers in any order, interleaved, wrongly, late or never."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from microduet_hw.config import AXI_BYTES
from tests.support.axi_port import OKAY, SLVERR, ReadPort, Response


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
    id: int
    due: int
    beats: list[int]
    fate: Fate
    sent: int = 0


class Memory(ReadPort):
    """A memory of 256-bit beats behind port `name` of `dut`.

    Parameters
    ----------
    dut, name, stall, one_id : as `ReadPort`
    read : the beat at a byte address
    fate : of the n-th read
    wait : probability that no response is sent in a cycle in which one could be
    in_order : whether responses keep the order of the reads, whole
    """

    def __init__(
        self,
        *,
        dut: Any,
        name: str,
        read: Callable[[int], int],
        fate: Callable[[int], Fate] = lambda _number: Fate(),
        stall: float = 0.0,
        wait: float = 0.0,
        in_order: bool = False,
        one_id: bool = False,
    ) -> None:
        super().__init__(dut=dut, name=name, stall=stall, one_id=one_id)
        self.read, self.fate, self.wait, self.in_order = read, fate, wait, in_order
        self.busy: list[_Read] = []
        """Reads that are not answered, the oldest first."""
        self._offered: _Read | None = None

    @property
    def pending(self) -> bool:
        return any(not read.fate.lost for read in self.busy)

    def accept(self, address: int, beats: int, id: int) -> None:
        fate = self.fate(len(self.requests) - 1)
        data = [self.read(address + AXI_BYTES * k) for k in range(beats)]
        self.busy.append(_Read(id=id, due=self.cycle + fate.latency, beats=data, fate=fate))

    def respond(self) -> Response | None:
        read = self._offered = self._choose()
        if read is None:
            return None
        return Response(
            id=read.id,
            data=read.beats[read.sent],
            last=read.sent == len(read.beats) - 1,
            code=SLVERR if read.fate.error_beat == read.sent else OKAY,
        )

    def taken(self) -> None:
        read = self._offered
        assert read is not None
        read.sent += 1
        if read.sent == read.fate.pause_beat:
            read.due = self.cycle + read.fate.pause
        if read.sent == len(read.beats):
            self.busy.remove(read)

    def _choose(self) -> _Read | None:
        """A read whose turn it may be."""
        due = [read for read in self.busy if read.due <= self.cycle and not read.fate.lost]
        if not due or self.random.random() < self.wait:
            return None
        if self.in_order or self.one_id:
            return self.busy[0] if self.busy[0] in due else None
        return self.random.choice(due)

"""A memory behind an AXI4 read port that answers in any order, interleaved, wrongly, late, never or unasked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from microduet_hw.config import AXI_BYTES
from tests.support.axi_port import OKAY, SLVERR, ReadPort, Response
from tests.support.cover_plan import hit


@dataclass(kw_only=True)
class Fate:
    """What becomes of one read: answered after `latency` cycles, with `code` in beat `error_beat`, or never.

    After `pause_beat` beats it is silent for `pause` cycles. It has `excess` beats too many, or too few if negative.
    The bits `flips` of the row are changed. If `exchanged`, and a read of another row, of as many beats, waits to be
    answered, each is answered with the other's row.
    """

    latency: int = 0
    pause_beat: int = 0
    pause: int = 0
    error_beat: int | None = None
    code: int = SLVERR
    excess: int = 0
    lost: bool = False
    flips: tuple[int, ...] = ()
    exchanged: bool = False


@dataclass(kw_only=True)
class _Read:
    number: int
    address: int
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
    ids : IDs that reads have, from 0 on
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
        ids: int = 64,
    ) -> None:
        super().__init__(dut=dut, name=name, stall=stall, one_id=one_id)
        self.read, self.fate, self.wait, self.in_order = read, fate, wait, in_order
        self.busy: list[_Read] = []
        """Reads that are not answered, the oldest first."""
        self.ids = ids
        self.stray = 0.0
        """Probability, in a cycle, of a beat that answers no read in flight: its ID has none, or is none."""
        self.spared: frozenset[int] = frozenset()
        """IDs that no stray has, though no read may be in flight with them."""
        self.strays = 0
        """Beats so far that answered nothing."""
        self.exchanged: list[int] = []
        """Numbers of the reads that were answered with another's row."""
        self._offered: _Read | None = None

    @property
    def pending(self) -> bool:
        return any(not read.fate.lost for read in self.busy)

    def accept(self, address: int, beats: int, id: int) -> None:
        fate = self.fate(len(self.requests) - 1)
        data = [self.read(address + AXI_BYTES * k) for k in range(beats)]
        data = data[: beats + fate.excess] + data[-1:] * fate.excess
        for flip in fate.flips:
            data[flip // (8 * AXI_BYTES)] ^= 1 << flip % (8 * AXI_BYTES)
        number, due = len(self.requests) - 1, self.cycle + fate.latency
        read = _Read(number=number, address=address, id=id, due=due, beats=data, fate=fate)
        if fate.exchanged:
            self._exchange(read)
        self.busy.append(read)

    def _exchange(self, read: _Read) -> None:
        """Swap the IDs of a read and another that could be its twin."""
        for other in self.busy:
            alike = other.fate.exchanged and len(other.beats) == len(read.beats) and other.address != read.address
            if alike and not other.sent and other is not self._offered and other.number not in self.exchanged:
                read.id, other.id = other.id, read.id
                self.exchanged += [read.number, other.number]
                return

    def respond(self) -> Response | None:
        if self.stray and self.random.random() < self.stray:
            self._offered = None
            return self._unasked()
        read = self._offered = self._choose()
        if read is None:
            return None
        return Response(
            id=read.id,
            data=read.beats[read.sent],
            last=read.sent == len(read.beats) - 1,
            code=read.fate.code if read.fate.error_beat == read.sent else OKAY,
        )

    def _unasked(self) -> Response | None:
        """A beat of a read that nobody has asked for, or whose answer has come before."""
        free = [id for id in range(64) if id not in self._in_flight and id not in self.spared]
        kinds = [[id for id in free if (id < self.ids) == live] for live in (True, False)]
        kinds = [kind for kind in kinds if kind]
        if not kinds:
            return None
        id = self.random.choice(self.random.choice(kinds))
        bits, last = self.random.getrandbits(8 * AXI_BYTES), self.random.random() < 0.7
        return Response(id=id, data=bits, last=last, code=self.random.choice([OKAY, SLVERR]), stray=True)

    def taken(self) -> None:
        read = self._offered
        if read is None:
            self.strays += 1
            hit("memory: a beat that nobody asked for")
            return
        hit("memory: beats of two reads mixed", any(other.sent for other in self.busy if other is not read))
        hit("memory: a read overtakes another", read is not self.busy[0])
        hit("memory: every ID is in use", len({other.id for other in self.busy}) == self.ids)
        hit("memory: a burst with too many beats", read.fate.excess > 0)
        hit("memory: a burst with too few beats", read.fate.excess < 0)
        hit("memory: a read is never answered", any(other.fate.lost for other in self.busy))
        instant = read.fate.latency == 0  # and so due in the cycle of the request
        hit(
            "memory: an answer in the cycle after its request", instant and not read.sent and self.cycle == read.due + 1
        )
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


def row_memories(
    dut: Any, rows: Sequence[Sequence[int]], *, fates: Sequence[Callable[[int], Fate]], stall: float, wait: float
) -> list[Memory]:
    """Memories behind ``m_axi_K`` of a stream of weights: beat K of every row, and what becomes of reads of each."""
    return [
        Memory(
            dut=dut,
            name=f"m_axi_{k}",
            read=lambda address, k=k: rows[address // AXI_BYTES][k],
            fate=fate,
            stall=stall,
            wait=wait,
            one_id=True,
        )
        for k, fate in enumerate(fates)
    ]

"""The network between cards: a port each, one switch, every message on the line of its sender and of its receiver."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.config import Frozen
from microduet_sim.errors import SimulatorError

FRAME_BYTES = 66
"""Of a UDP message on Ethernet beside its payload: 8 preamble, 14 + 20 + 8 headers, 4 checksum, 12 gap."""
PAYLOAD_BYTES = 8192
"""Of a frame at most: jumbo frames."""
PS_PER_US = 10**6


class NetworkError(SimulatorError):
    """A network that cannot be. One line: which parameter, what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What became of the messages of a batch.

    Members
    -------
    arrived_ps : int64 (cards, items), when each card's message of each item was there whole
    sent_bytes, received_bytes : int64 (cards,), on the lines, frames included
    """

    arrived_ps: npt.NDArray[np.int64]
    sent_bytes: npt.NDArray[np.int64]
    received_bytes: npt.NDArray[np.int64]


class Network(Frozen, frozen=True, kw_only=True):
    """What joins the cards: full duplex, no loss, the switch stores and forwards.

    Parameters
    ----------
    gbps : of each card's port and each of the switch's, 10^9 bits per second; 100, one of a U280's two QSFP28
    latency_us : from the last bit sent to the first bit forwarded: both cards' MACs, cables and the switch. An estimate

    Raises
    ------
    NetworkError
        If a parameter is out of its range.
    """

    gbps: float = 100.0
    latency_us: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.gbps <= 10_000:
            raise NetworkError(f"network gbps must be above 0 and at most 10000, not {self.gbps}")
        if not 0 <= self.latency_us <= 10_000:
            raise NetworkError(f"network latency_us must be 0 to 10000, not {self.latency_us}")

    def wire_bytes(self, size: int) -> int:
        """Bytes on the line of a message of `size` bytes."""
        return size + FRAME_BYTES * -(-size // PAYLOAD_BYTES)

    def picoseconds(self, size: int) -> int:
        """Time that a message of `size` bytes takes on a line."""
        return round(self.wire_bytes(size) * 8000 / self.gbps)

    def deliver(self, ready_ps: npt.NDArray[np.int64], sizes: tuple[int, ...]) -> Delivered:
        """Send every card's message of each item i to card i mod cards; one for the card itself needs no line.

        Parameters
        ----------
        ready_ps : int64 (cards, items), when each message may set out, ascending along the items
        sizes : bytes of each card's messages
        """
        cards, items = ready_ps.shape
        target = np.arange(items) % cards
        arrived = ready_ps.copy()
        sent, received = np.zeros(cards, np.int64), np.zeros(cards, np.int64)
        for card in range(cards):
            away = np.flatnonzero(target != card)
            times = np.full(len(away), self.picoseconds(sizes[card]))
            arrived[card, away] = _on_line(ready_ps[card, away], times) + round(self.latency_us * PS_PER_US)
            sent[card] = len(away) * self.wire_bytes(sizes[card])
        for card in range(cards):
            mine = np.flatnonzero(target == card)
            sources = np.delete(np.arange(cards), card)
            times = np.repeat([self.picoseconds(sizes[k]) for k in sources], len(mine)).astype(np.int64)
            forwarded = arrived[np.ix_(sources, mine)].ravel()
            order = np.argsort(forwarded, kind="stable")
            forwarded[order] = _on_line(forwarded[order], times[order])
            arrived[np.ix_(sources, mine)] = forwarded.reshape(len(sources), len(mine))
            received[card] = len(mine) * sum(self.wire_bytes(sizes[k]) for k in sources)
        return Delivered(arrived_ps=arrived, sent_bytes=sent, received_bytes=received)


def _on_line(ready: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """When messages have left a line that carries one at a time: ``end = max(ready, end before) + time``, summed up."""
    total = np.cumsum(times)
    return np.maximum.accumulate(ready - (total - times)) + total if len(ready) else ready

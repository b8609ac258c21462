"""The link between a device and the datacentre: rates, delay, jitter, loss and retransmission, packet by packet."""

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from microduet_hw.config import Frozen
from microduet_sim.errors import SimulatorError

PS_PER_MS = 10**9
PS_PER_US = 10**6

Direction = Literal["up", "down"]


class LinkError(SimulatorError):
    """A link that cannot be. One line: which parameter, what is allowed."""


class Link(Frozen, frozen=True, kw_only=True):
    """What a link is like; the defaults are those of Duet's evaluation (section 6: 24 Mb/s up, no delay).

    Parameters
    ----------
    up_mbps, down_mbps : rates, 10^6 bits per second
    rtt_ms : time there and back without the packet's own; half of it each way
    jitter_ms : each packet is late by 0 to so much more, uniformly; a later packet may overtake
    loss : probability that a packet does not arrive
    retry_ms : from the end of a lost packet's sending until it is sent again; None for rtt_ms + jitter_ms + 1
    attempts : times that a packet is sent at most; then the message is lost
    packet_bytes : a message is cut into packets of at most so many bytes
    seed : of jitter and loss

    Raises
    ------
    LinkError
        If a parameter is out of its range.
    """

    up_mbps: float = 24.0
    down_mbps: float = 100.0
    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    retry_ms: float | None = None
    attempts: int = 8
    packet_bytes: int = 1400
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("up_mbps", "down_mbps"):
            if not 0 < getattr(self, name) <= 1e6:
                raise LinkError(f"link {name} must be above 0 and at most 10^6, not {getattr(self, name)}")
        for name in ("rtt_ms", "jitter_ms", "retry_ms"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1e6:
                raise LinkError(f"link {name} must be 0 to 10^6, not {value}")
        if not 0 <= self.loss <= 1:
            raise LinkError(f"link loss must be 0 to 1, not {self.loss}")
        for name in ("attempts", "packet_bytes"):
            if getattr(self, name) < 1:
                raise LinkError(f"link {name} must be at least 1, not {getattr(self, name)}")

    def picoseconds(self, size: int, direction: Direction = "up") -> int:
        """Time that `size` bytes take on the line."""
        rate = self.up_mbps if direction == "up" else self.down_mbps
        return round(size * 8 * PS_PER_US / rate)

    def open(self, *, stream: int = 0) -> "OpenLink":
        """A link of one user; `stream` tells users' jitter and losses apart."""
        return OpenLink(self, stream)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A packet once on the line.

    Members
    -------
    packet : its number in the message
    bytes : of it
    start_ps, sent_ps : when it was on the line
    ended_ps : when it arrived, or, if it was lost, when the sender has waited long enough
    """

    packet: int
    bytes: int
    start_ps: int
    sent_ps: int
    ended_ps: int
    lost: bool

    def earlier(self, ps: int) -> Self:
        """The same `ps` picoseconds earlier."""
        times = {name: getattr(self, name) - ps for name in ("start_ps", "sent_ps", "ended_ps")}
        return replace(self, **times)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of a message.

    Members
    -------
    ended_ps : when its last packet arrived, or was given up
    lost : a packet of it was given up
    sent_bits : on the line, retransmissions included
    retransmissions : packets sent again
    attempts : packet by packet
    """

    ended_ps: int
    lost: bool = False
    sent_bits: int
    retransmissions: int
    attempts: tuple[Attempt, ...] = ()

    def earlier(self, ps: int) -> Self:
        """The same `ps` picoseconds earlier."""
        return replace(self, ended_ps=self.ended_ps - ps, attempts=tuple(one.earlier(ps) for one in self.attempts))

    @property
    def arrived_ps(self) -> int | None:
        """When the message was there whole; None if it never was."""
        return None if self.lost else self.ended_ps

    def __add__(self, other: Self) -> "Delivery":
        return Delivery(
            ended_ps=max(self.ended_ps, other.ended_ps),
            lost=self.lost or other.lost,
            sent_bits=self.sent_bits + other.sent_bits,
            retransmissions=self.retransmissions + other.retransmissions,
            attempts=self.attempts + other.attempts,
        )


class OpenLink:
    """A link in use: each direction sends one packet at a time, in the order of the calls.

    A lost packet's place in the line is not held: what was sent after it goes on, and it is sent again behind that.
    """

    def __init__(self, link: Link, stream: int) -> None:
        self.link = link
        self._random = {name: np.random.default_rng([link.seed, stream, k]) for k, name in enumerate(("up", "down"))}
        self._free_ps = {"up": 0, "down": 0}

    def send(self, size: int, at_ps: int, direction: Direction = "up") -> Delivery:
        """Send a message of `size` bytes at time `at_ps`, which is no earlier than the message before it.

        Raises
        ------
        LinkError
            If `size` is less than 1 or `at_ps` negative.
        """
        if size < 1 or at_ps < 0:
            raise LinkError(f"a message has at least 1 byte and a time of at least 0, not {size} and {at_ps}")
        whole, rest = divmod(size, self.link.packet_bytes)
        total = Delivery(ended_ps=0, sent_bits=0, retransmissions=0)
        for number, length in enumerate([self.link.packet_bytes] * whole + [rest] * (rest > 0)):
            total = total + self._packet(number, length, at_ps, direction)
        return total

    def _packet(self, number: int, length: int, at_ps: int, direction: Direction) -> Delivery:
        link, random = self.link, self._random[direction]
        retry_ms = link.rtt_ms + link.jitter_ms + 1 if link.retry_ms is None else link.retry_ms
        attempts: list[Attempt] = []
        while not attempts or (attempts[-1].lost and len(attempts) < link.attempts):
            start = max(at_ps, self._free_ps[direction])
            end = start + link.picoseconds(length, direction)
            self._free_ps[direction] = end
            late = random.random() * link.jitter_ms
            lost = random.random() < link.loss
            at_ps = end + round((retry_ms if lost else link.rtt_ms / 2 + late) * PS_PER_MS)
            attempts.append(
                Attempt(packet=number, bytes=length, start_ps=start, sent_ps=end, ended_ps=at_ps, lost=lost)
            )
        return Delivery(
            ended_ps=at_ps,
            lost=attempts[-1].lost,
            sent_bits=8 * length * len(attempts),
            retransmissions=len(attempts) - 1,
            attempts=tuple(attempts),
        )

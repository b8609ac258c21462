"""Sums of table rows made inside a channel's memory: at its ranks (RecNMP) or at the chips' bank groups (TRiM)."""

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.config import Frozen
from microduet_sim.abi import address
from microduet_sim.dram.abi import MdNear
from microduet_sim.dram.parameters import COMMANDS, DramParameters, Refresh
from microduet_sim.dram.replay import Progress, run_job

ACTIVATIONS = 4
"""The "four" of tFAW."""


class Adders(enum.StrEnum):
    """Where rows are summed."""

    RANK = "rank"
    BANK_GROUP = "bank-group"


class NearMemory(Frozen, frozen=True, kw_only=True):
    """What a memory needs to sum rows by itself.

    One instruction per row goes from the host over the channel's command and data pins to the DIMM's buffer. At a rank,
    the buffer makes the commands and adds what comes over the rank's data bus. At a bank group, the instruction goes on
    over the rank's command pins, the chips make the commands and add, and the bank groups' parts of a finished sum come
    back over the rank's data bus. Each DIMM's part of a sum crosses the channel once.

    Parameters
    ----------
    adders : where rows are summed
    instruction_bits : of one row's instruction
    queue : rows that a rank has been told of and has not read
    sums : under way in a channel
    dimm_ranks : ranks of a DIMM, whose parts its buffer adds

    Raises
    ------
    ValueError
        If a number is below 1.
    """

    adders: Adders
    instruction_bits: int
    queue: int = 64
    sums: int = 16
    dimm_ranks: int = 2

    def __post_init__(self) -> None:
        for name in ("instruction_bits", "queue", "sums", "dimm_ranks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def rank_cycles(self, parameters: DramParameters) -> int:
        """Cycles that an instruction takes of a rank's command pins."""
        if self.adders is Adders.RANK:
            return 0
        return -(-self.instruction_bits // parameters.ca_bits)


RECNMP = NearMemory(adders=Adders.RANK, instruction_bits=79)
"""Ke et al., ISCA 2020, section III: instructions of 79 bits, 4-bit tags of sums, DIMMs of two ranks."""
TRIM = NearMemory(adders=Adders.BANK_GROUP, instruction_bits=85)
"""TRiM-G of Park et al., MICRO 2021, section 4: instructions of 85 bits in two stages, 4-bit tags of sums."""


@dataclass(frozen=True, kw_only=True)
class Gather:
    """Rows to read from one channel, and which sum each belongs to.

    Parameters
    ----------
    addresses : uint64 (n,), bytes within the channel
    sums : uint32 (n,), from 0 up, the rows of each sum one after the other
    bytes : of every row
    """

    addresses: npt.NDArray[np.uint64]
    sums: npt.NDArray[np.uint32]
    bytes: int

    def __len__(self) -> int:
        return len(self.addresses)


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """What a reduction measured, in cycles of the memory.

    Members
    -------
    completion : uint64 (n,), when each row was read
    sent : uint64 (sums,), when the host had the last part of each sum
    counts : uint64 (ranks, kinds of `COMMANDS`)
    partial_sums, dimm_sums : parts that went from a bank group to its rank, and from a DIMM to the host
    commands : uint64 (m, 4) of number in `COMMANDS`, cycle, bank over all ranks, row; empty unless they were asked for
    """

    parameters: DramParameters
    near: NearMemory
    gather: Gather
    completion: npt.NDArray[np.uint64]
    sent: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint64]
    partial_sums: int
    dimm_sums: int
    commands: npt.NDArray[np.uint64]

    @property
    def cycles(self) -> int:
        """From the start until the host has all sums."""
        return int(self.sent.max())

    def counted(self, command: str) -> int:
        """Commands of one kind of all ranks."""
        return int(self.counts[:, COMMANDS.index(command)].sum())

    def shares(self) -> dict[str, float]:
        """Which part of the time each shared thing is in use, in the mean over those of a kind.

        bus : the ranks' data buses, or the bank groups' at tCCD_L; activations : of what tFAW allows; commands : of the
        buses from the buffer to the chips, or instructions on them; partial sums : on the ranks' data buses; channel :
        instructions and sums; refresh : of the ranks, in which only the channel goes on.
        """
        t, near = self.parameters, self.near
        ranks, reads = self.cycles * t.ranks, self.counted("RD")
        groups = near.adders is Adders.BANK_GROUP
        vector = -(-self.gather.bytes // t.burst_bytes) * t.burst_cycles
        issued = sum(self.counted(name) for name in ("ACT", "RD", "PRE"))
        return {
            "bus": reads * t.tCCD_L / (ranks * t.bank_groups) if groups else reads * t.burst_cycles / ranks,
            "activations": activation_share(t, self.counted("ACT"), self.cycles),
            "commands": (len(self.gather) * near.rank_cycles(t) if groups else issued / t.command_buses) / ranks,
            "partial sums": self.partial_sums * vector / ranks,
            "channel": (
                len(self.gather) * near.instruction_bits / channel_bits(t) + self.dimm_sums * vector
            ) / self.cycles,
            "refresh": refresh_share(t, self.counted("REFAB"), self.cycles),
        }  # fmt: skip


def channel_bits(parameters: DramParameters) -> int:
    """Bits per cycle of a channel's command pins and of its data pins, which carry two per cycle each."""
    return parameters.ca_bits + 2 * parameters.bus_bits


def activation_share(parameters: DramParameters, activations: int, cycles: int) -> float:
    """Activations over what tFAW allows all ranks in `cycles`."""
    return activations * parameters.tFAW / (ACTIVATIONS * cycles * parameters.ranks)


def refresh_share(parameters: DramParameters, refreshes: int, cycles: int) -> float:
    """The part of all ranks' time in which they refresh all banks."""
    return refreshes * parameters.tRFC / (cycles * parameters.ranks)


def reduce(
    gather: Gather,
    parameters: DramParameters,
    near: NearMemory,
    *,
    commands: int = 0,
    progress: Progress | None = None,
) -> Reduced:
    """Sum the rows of `gather` inside the memory; all banks are closed at the start.

    The host sends an instruction per row in the rows' order, as soon as the row's rank has a place in its queue and the
    sum is one of those under way. A rank reads the rows in its queue in any order, as the channel's controller does.

    Parameters
    ----------
    commands : keep up to so many commands
    progress : called now and then with rows that were read

    Raises
    ------
    ValueError
        If a row lies outside the channel, or the sums are not in order, or single banks are refreshed.
    KeyboardInterrupt
        On Ctrl-C.
    """
    _check(gather, parameters)
    n = len(gather)
    addresses = np.ascontiguousarray(gather.addresses, np.uint64)
    sums = np.ascontiguousarray(gather.sums, np.uint32)
    completion, sent = np.zeros(n, np.uint64), np.zeros(int(sums[-1]) + 1, np.uint64)
    counts = np.zeros((parameters.ranks, len(COMMANDS)), np.uint64)
    log = np.zeros((commands, 4), np.uint64)
    job = MdNear(
        addresses=address(addresses),
        pools=address(sums),
        lookups=n,
        bytes=gather.bytes,
        bank_groups=near.adders is Adders.BANK_GROUP,
        instruction_bits=near.instruction_bits,
        channel_bits=channel_bits(parameters),
        rank_cycles=near.rank_cycles(parameters),
        queue=near.queue,
        sums=near.sums,
        dimm_ranks=near.dimm_ranks,
        completion=address(completion),
        sent=address(sent),
        counts=address(counts),
        commands=address(log) if commands else None,
        command_capacity=commands,
    )
    run_job("md_reduce", parameters, job, of=n, progress=progress)
    return Reduced(
        parameters=parameters,
        near=near,
        gather=gather,
        completion=completion,
        sent=sent,
        counts=counts,
        partial_sums=job.partial_sums,
        dimm_sums=job.dimm_sums,
        commands=log[: job.command_count],
    )


def _check(gather: Gather, parameters: DramParameters) -> None:
    if gather.bytes < 1 or not len(gather) or len(gather.sums) != len(gather):
        raise ValueError(f"a gather must be of rows of at least 1 byte with a sum each, not {len(gather)} rows of "
                         f"{gather.bytes} bytes and {len(gather.sums)} sums")  # fmt: skip
    if parameters.refresh is Refresh.SINGLE_BANK:
        raise ValueError("refresh must be 'all-bank' or 'off' where ranks sum, not 'single-bank'")
    if int(gather.addresses.max()) + gather.bytes > parameters.bytes:
        raise ValueError(f"rows must end within the channel's {parameters.bytes:#x} bytes, not at "
                         f"{int(gather.addresses.max()) + gather.bytes:#x}")  # fmt: skip
    steps = np.diff(gather.sums.astype(np.int64))
    if gather.sums[0] or not np.isin(steps, (0, 1)).all():
        raise ValueError("sums must count from 0 up, the rows of each one after the other")

"""A trace of reads replayed on one channel of DRAM, without a front end."""

import csv
import ctypes
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet_sim.abi import MESSAGE_BYTES, STOPPED, address
from microduet_sim.dram.abi import MdReplay, ReplayProgress, dram_argument, dram_model
from microduet_sim.dram.parameters import COMMANDS, DramParameters
from microduet_sim.errors import SimulatorError

HEADER = ("order", "address_hex", "bytes")
OUT_HEADER = ("order", "arrival", "completion", "latency")
COMMANDS_HEADER = ("cycle", "command", "bank", "row")
WARM_UP = 64
"""Transactions left out of the statistics of latency: the banks are closed at the start."""
MAX_TRANSACTION = 1 << 20

Progress = Callable[[int, int], None]
"""``progress(complete, transactions)``."""


class TraceError(SimulatorError):
    """A trace cannot be read or does not fit the channel. One line: the file, the line, what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Transactions in the order of their issue.

    Parameters
    ----------
    addresses : uint64 (n,), bytes within the channel
    bytes : uint32 (n,), at least 1
    orders : int64 (n,), what the transactions are called; from 0 if None
    """

    addresses: npt.NDArray[np.uint64]
    bytes: npt.NDArray[np.uint32]
    orders: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.addresses)


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay measured, in cycles of the memory.

    Members
    -------
    arrival, completion : uint64 (n,), of each transaction; the end of its last data beat
    refreshes : refresh commands until the end
    counts : commands of each kind of `COMMANDS`
    commands : uint64 (m, 4) of number in `COMMANDS`, cycle, bank, row; empty unless they were asked for
    """

    parameters: DramParameters
    trace: Trace
    arrival: npt.NDArray[np.uint64]
    completion: npt.NDArray[np.uint64]
    refreshes: int
    counts: dict[str, int]
    commands: npt.NDArray[np.uint64]

    @property
    def latency(self) -> npt.NDArray[np.uint64]:
        """Cycles from arrival to completion."""
        return self.completion - self.arrival

    @property
    def gigabytes_per_s(self) -> float:
        """Bytes asked for, over the time from the first arrival to the last completion."""
        return float(self.trace.bytes.sum()) / (float(self.completion.max()) * self.parameters.tCK_ns)

    def figures(self) -> dict[str, float | int]:
        """The statistics; those of latency without the first `WARM_UP` transactions, if there are more."""
        latency = self.latency[WARM_UP if len(self.trace) > WARM_UP else 0 :]
        p50, p95, p99 = (float(value) for value in np.percentile(latency, [50, 95, 99]))
        mean, tCK = float(latency.mean()), self.parameters.tCK_ns
        return {
            "n": len(self.trace),
            "mean_cycles": round(mean, 3),
            "p50_cycles": p50,
            "p95_cycles": p95,
            "p99_cycles": p99,
            "max_cycles": int(latency.max()),
            "mean_ns": round(mean * tCK, 3),
            "p50_ns": round(p50 * tCK, 3),
            "gigabytes_per_s": round(self.gigabytes_per_s, 4),
            "peak_gigabytes_per_s": round(self.parameters.peak_gigabytes_per_s, 4),
            "peak_share": round(self.gigabytes_per_s / self.parameters.peak_gigabytes_per_s, 5),
            "refreshes": self.refreshes,
        }

    def csv(self) -> str:
        """Each transaction's times, with the header ``order,arrival,completion,latency``."""
        orders = range(len(self.trace)) if self.trace.orders is None else self.trace.orders.tolist()
        columns = (orders, self.arrival.tolist(), self.completion.tolist(), self.latency.tolist())
        return _csv(OUT_HEADER, zip(*columns, strict=True))

    def commands_csv(self) -> str:
        """The commands that were kept, with the header ``cycle,command,bank,row``; banks count over all groups."""
        rows = ((cycle, COMMANDS[kind], bank, row) for kind, cycle, bank, row in self.commands.tolist())
        return _csv(COMMANDS_HEADER, rows)


def _csv(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def read_trace(path: Path, parameters: DramParameters) -> Trace:
    """The trace in a CSV file with the header ``order,address_hex,bytes``.

    Raises
    ------
    TraceError
        Naming the line, if one is not a transaction of the channel, or orders do not rise.
    """
    transactions: list[tuple[int, int, int]] = []
    last = -1
    try:
        with path.open(newline="") as file:
            rows = csv.reader(file)
            header = next(rows, None)
            if header is None or tuple(cell.strip() for cell in header) != HEADER:
                raise TraceError(f"{path}, line 1: must be {','.join(HEADER)}, not {','.join(header or [])!r}")
            for row in rows:
                if not row:
                    continue
                try:
                    transactions.append(_transaction(row, last, parameters))
                except ValueError as error:
                    raise TraceError(f"{path}, line {rows.line_num}: {error}") from None
                last = transactions[-1][0]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error
    if not transactions:
        raise TraceError(f"{path}: must have at least one transaction, not none")
    orders, addresses, sizes = zip(*transactions, strict=True)
    return Trace(
        addresses=np.array(addresses, np.uint64), bytes=np.array(sizes, np.uint32), orders=np.array(orders, np.int64)
    )


def _transaction(row: list[str], last: int, parameters: DramParameters) -> tuple[int, int, int]:
    if len(row) != len(HEADER):
        raise ValueError(f"must have {len(HEADER)} fields, not {len(row)}")
    try:
        order = int(row[0])
        size = int(row[2])
    except ValueError:
        raise ValueError(f"order and bytes must be whole numbers, not {row[0]!r} and {row[2]!r}") from None
    try:
        start = int(row[1], 16)
    except ValueError:
        raise ValueError(f"address_hex must be a hexadecimal number, not {row[1]!r}") from None
    if order <= last:
        raise ValueError(f"order must rise, but {order} follows {last}")
    if not 1 <= size <= MAX_TRANSACTION:
        raise ValueError(f"bytes must be 1 to {MAX_TRANSACTION}, not {size}")
    if start < 0 or start + size > parameters.bytes:
        raise ValueError(f"{size} bytes at {start:#x} must lie within the channel's {parameters.bytes:#x}")
    return order, start, size


def replay(
    trace: Trace,
    parameters: DramParameters,
    *,
    outstanding: int,
    writes: npt.NDArray[np.bool_] | None = None,
    commands: int = 0,
    progress: Progress | None = None,
) -> Replayed:
    """Replay `trace` in a closed loop with `outstanding` slots; all banks are closed at the start.

    A slot's next transaction arrives one cycle after its last one was complete. The bursts of a transaction enter the
    controller in the order of their addresses, at most one per cycle.

    Parameters
    ----------
    trace, parameters : what is replayed, and where
    outstanding : slots
    writes : bool (n,), which transactions are writes; none if None
    commands : keep up to so many commands
    progress : called now and then

    Raises
    ------
    ValueError
        If `outstanding` is below 1.
    KeyboardInterrupt
        On Ctrl-C.
    """
    if outstanding < 1:
        raise ValueError(f"outstanding must be at least 1, not {outstanding}")
    n = len(trace)
    arrival, completion = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    log = np.zeros((commands, 4), np.uint64)
    kinds = None if writes is None else np.ascontiguousarray(writes, np.uint8)
    job = MdReplay(
        addresses=address(np.ascontiguousarray(trace.addresses)),
        bytes=address(np.ascontiguousarray(trace.bytes)),
        writes=address(kinds),
        transactions=n,
        outstanding=outstanding,
        arrival=address(arrival),
        completion=address(completion),
        commands=address(log) if commands else None,
        command_capacity=commands,
    )
    run_job("md_replay", parameters, job, of=n, progress=progress)
    return Replayed(
        parameters=parameters,
        trace=trace,
        arrival=arrival,
        completion=completion,
        refreshes=job.refreshes,
        counts=dict(zip(COMMANDS, job.counts, strict=True)),
        commands=log[: job.command_count],
    )


def run_job(
    name: str, parameters: DramParameters, job: ctypes.Structure, *, of: int, progress: Progress | None
) -> None:
    """Call the model's function `name` with a job of `of` parts; raises what `progress` raises, or SimulatorError."""
    interrupts: list[BaseException] = []

    def report(complete: int) -> int:
        try:
            if progress is not None:
                progress(complete, of)
        except BaseException as error:
            interrupts.append(error)
        return len(interrupts)

    message = ctypes.create_string_buffer(MESSAGE_BYTES)
    argument = dram_argument(parameters)
    function = getattr(dram_model(), name)
    outcome = function(ctypes.byref(argument), ctypes.byref(job), ReplayProgress(report), message)
    if outcome == STOPPED:
        raise interrupts[0]
    if outcome:
        raise SimulatorError(message.value.decode())

"""Files of a data set: what is in them, by content, and blocks of whole lines."""

import dataclasses
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from microduet.errors import DataError, InputError
from microduet.folders import write_file
from microduet.unreadable import UNREADABLE
from microduet_hw.config import Frozen
from microduet_sim.cache import cache_folder

BLOCK_BYTES = 8 << 20
"""Bytes of text that are read, and whose rows are kept, at a time."""

_READ = 1 << 16
"""Bytes that are searched for the end of a line at a time."""

_rooms = threading.local()

SHOWN = 3
"""Bad lines that a message names."""


class _Stamp(Frozen, frozen=True, kw_only=True):
    size: int
    changed: int
    digest: str


def content_digest(path: Path) -> str:
    """XXH3 of the file, 128 bits; remembered as long as its size and time of change stay.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, or it is empty.
    """
    try:
        found = path.stat()
        if not found.st_size:
            raise DataError(f"{path}: is empty")
        name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
        memory = cache_folder() / "data" / f"{name}.stamp"
        stamp = _read_stamp(memory)
        if stamp is None or (stamp.size, stamp.changed) != (found.st_size, found.st_mtime_ns):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
            stamp = _Stamp(size=found.st_size, changed=found.st_mtime_ns, digest=digest)
            memory.parent.mkdir(parents=True, exist_ok=True)
            write_file(memory, msgspec.json.encode(stamp).decode())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return stamp.digest


def _read_stamp(memory: Path) -> _Stamp | None:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=_Stamp)
    except (OSError, *UNREADABLE):
        return None


def content_key(paths: Iterable[Path], *more: object) -> str:
    """One name for the contents of `paths` and the values `more`."""
    digest = hashlib.sha256(repr(more).encode())
    for path in paths:
        digest.update(content_digest(path).encode())
    return digest.hexdigest()[:24]


def block_count(path: Path, size: int = BLOCK_BYTES) -> int:
    """Blocks of a file."""
    return -(-path.stat().st_size // size)


def read_block(path: Path, number: int, size: int = BLOCK_BYTES) -> bytes:
    """The lines of a file that begin in bytes number * size to (number + 1) * size - 1."""
    with path.open("rb", buffering=0) as file:
        first, last = (_line_start(file.fileno(), place * size) for place in (number, number + 1))
        return os.pread(file.fileno(), last - first, first)


def room_block(path: Path, number: int, size: int = BLOCK_BYTES) -> npt.NDArray[np.uint8]:
    """The same lines in room of this thread that its next call takes again, and a byte of 0 behind them.

    New pages for every block would cost more time than copying the text does.
    """
    with path.open("rb", buffering=0) as file:
        first, last = (_line_start(file.fileno(), place * size) for place in (number, number + 1))
        room: npt.NDArray[np.uint8] = getattr(_rooms, "room", np.empty(0, np.uint8))
        if len(room) <= last - first:
            _rooms.room = room = np.empty(max(size + _READ, last - first + 1), np.uint8)
        wanted, done = room[: last - first].data, 0
        while done < len(wanted) and (more := os.preadv(file.fileno(), [wanted[done:]], first + done)):
            done += more
    room[done] = 0
    return room[:done]


def _line_start(file: int, place: int) -> int:
    """Where the first line begins that does not begin before `place`; the file's end if there is none."""
    if not place:
        return 0
    place -= 1
    while text := os.pread(file, _READ, place):
        found = text.find(b"\n")
        if found >= 0:
            return place + found + 1
        place += len(text)
    return os.fstat(file).st_size


def _begun(file: io.BufferedReader, place: int) -> int:
    """1 if a line begins before `place` and ends behind it, else 0."""
    if not place:
        return 0
    file.seek(place - 1)
    return int(file.read(1) != b"\n")


def lines_before(path: Path, number: int, size: int = BLOCK_BYTES) -> int:
    """Lines in the blocks before block `number`."""
    with path.open("rb") as file:
        return sum(file.read(size).count(b"\n") for _ in range(number)) + _begun(file, number * size)


@dataclasses.dataclass(frozen=True)
class BadLines:
    """Lines of one file that are not of its format.

    Members
    -------
    skip : leave them out; otherwise the first block with one raises
    """

    path: Path
    skip: bool

    def keep_good(
        self, lines: list[bytes], first: Callable[[], int], fault: Callable[[bytes], str | None]
    ) -> list[bytes]:
        """`lines` without those in which `fault` sees a fault; `first` finds the number of the first one.

        Raises
        ------
        DataError
            If there are such lines and they are not to be skipped; names the first ones and counts them.
        """
        faults = [(number, found) for number, line in enumerate(lines) if (found := fault(line)) is not None]
        if faults and not self.skip:
            (number, found), start = faults[0], first()
            also = ", ".join(str(start + other) for other, _ in faults[1:SHOWN])
            more = (
                f"; {len(faults)} bad lines in this block, also {also}{', ...' * (len(faults) > SHOWN)}" if also else ""
            )
            raise DataError(f"{self.path}:{start + number}: {found}{more}")
        bad = {number for number, _ in faults}
        return [line for number, line in enumerate(lines) if number not in bad]


def split_lines(text: bytes) -> list[bytes]:
    """Lines without their ends, which are LF or CR LF."""
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def need_file(folder: Path, *names: str) -> Path:
    """The first of `names` that is in `folder`; raises DataError, naming both, if none is."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder}: has no {' or '.join(names)}")


def need_rows(rows: int | None) -> None:
    """Raise InputError if a stated table size is not positive."""
    if rows is not None and rows < 1:
        raise InputError(f"tables must have at least 1 row, not {rows}")

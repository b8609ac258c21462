"""Results of commands, kept between runs: what was measured, by which sources, when, or why it failed."""

import functools
import hashlib
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from microduet.errors import InputError
from microduet.folders import write_file
from microduet.report.findings import Command, Json
from microduet.unreadable import UNREADABLE
from microduet_hw.config import Frozen

FORMAT = 1
"""Of a result's file."""

SUFFIXES = (".py", ".toml", ".cpp", ".h", ".v", ".vlt")
OUTSIDE = ("report",)
"""Folders of `microduet` that no result depends on: they only show results."""


class Result(Frozen, frozen=True, kw_only=True):
    """What a command printed.

    Members
    -------
    command : arguments of `microduet`
    sources : digest of all that it ran
    when : UTC, to the second
    seconds : how long it took
    output : its JSON object; None if it failed
    failed : its last line then
    """

    format: int = FORMAT
    command: Command
    sources: str
    when: str
    seconds: float
    output: Json | None = None
    failed: str = ""

    @property
    def stale(self) -> bool:
        """Whether the sources are others by now."""
        return self.sources != sources()


@functools.cache
def sources() -> str:
    """SHA-256 of the sources that results depend on, as hexadecimal text."""
    digest = hashlib.sha256()
    for package in ("microduet", "microduet_sim", "microduet_hw"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.suffix in SUFFIXES and not (package == "microduet" and inside.parts[0] in OUTSIDE):
                digest.update(f"{package}/{inside}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


class Store:
    """A folder of results, a file per command.

    Parameters
    ----------
    folder : made when the first result is kept
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, command: Command) -> Result | None:
        """The kept result of a command, also a stale or failed one.

        Raises
        ------
        InputError
            If its file is of another format or damaged; it is left as it is.
        """
        path = self._path(command)
        if not path.is_file():
            return None
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Result)
        except (OSError, *UNREADABLE) as error:
            raise InputError(f"{path}: not a result of this version ({error}); remove it to measure again") from error
        if found.format != FORMAT or found.command != command:
            raise InputError(f"{path}: a result of format {found.format}, not {FORMAT}; remove it to measure again")
        return found

    def keep(self, result: Result) -> None:
        """Write a result in the place of the one before; InputError if it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be made: {error.strerror or error}") from error
        text = msgspec.json.format(msgspec.json.encode(result), indent=1).decode()
        write_file(self._path(result.command), text)

    def measure(self, command: Command) -> Result:
        """Run a command by itself and keep what came of it."""
        start = time.monotonic()
        program = [sys.executable, "-m", "microduet", *command, "--json"]
        done = subprocess.run(program, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        result = Result(
            command=command,
            sources=sources(),
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - start, 1),
            **_outcome(done),
        )
        self.keep(result)
        return result

    def _path(self, command: Command) -> Path:
        words = "-".join(word.strip("-") for word in command)[:60].replace("/", "_")
        digest = hashlib.sha256("\0".join(command).encode()).hexdigest()[:8]
        return self.folder / f"{words}-{digest}.json"


def _outcome(done: "subprocess.CompletedProcess[str]") -> Json:
    """Members `output` and `failed`: a command that exits with 1 may have printed its object, but a check failed."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    try:
        output = json.loads(done.stdout)
    except ValueError:
        output = None
    if done.returncode or not isinstance(output, dict):
        said = lines[-1] if lines else "printed no JSON object"
        return {"output": None, "failed": f"exit status {done.returncode}: {said}"}
    return {"output": output, "failed": ""}

"""Where tests keep what they build, and what they do if a tool is missing."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from microduet_sim import tools

REPOSITORY = Path(__file__).resolve().parents[2]


def require_tool(name: str, install: str | None = None) -> None:
    """Skip the test if `name`, a tool of `microduet_sim.tools`, is missing; in CI (CI is set) fail it.

    Parameters
    ----------
    name : the tool
    install : the command that installs it, if not the one that `microduet doctor` names
    """
    finding = tools.find(name)
    if finding.found:
        return
    message = f"{name} not found; install it with: {install or finding.tool.install}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def cache_folder() -> Path:
    """Folder for builds that outlive a test run: $MICRODUET_CACHE, or microduet in the user's cache folder."""
    chosen = os.environ.get("MICRODUET_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microduet"


def output_folder(name: str) -> Path:
    """A folder for what one test leaves behind (waves, traces), inside the repository and never committed."""
    folder = REPOSITORY / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def changed_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while: cocotb's runner takes a build's environment from its own process."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def alone(with_what: str) -> Iterator[None]:
    """Wait until no other process of this user is inside the same `with`."""
    path = Path(tempfile.gettempdir()) / f"microduet-tests-{with_what}-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

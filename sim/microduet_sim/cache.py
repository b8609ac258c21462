"""A folder of things that were built once, safe for several processes at a time."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

from microduet_sim.errors import SimulatorError


class CacheError(SimulatorError):
    """The cache cannot be written. The message names the folder and the cause in one line."""


def cache_folder() -> Path:
    """``$MICRODUET_CACHE``, or ``microduet`` in the user's cache folder."""
    chosen = os.environ.get("MICRODUET_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microduet"


def publish(kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder `key` among those of `kind`, made by `make` if it is not there yet.

    `make` fills a temporary folder, which then appears under its name all at once: other processes see a complete
    folder or none. A second process that wants the same one waits. If `make` raises, nothing stays behind.

    Parameters
    ----------
    kind, key : name of the folder, ``<cache>/<kind>/<key>``
    make : fills the empty folder that it is given

    Returns
    -------
    The folder, and whether it was there already.

    Raises
    ------
    CacheError
        If the cache cannot be written, or the disk is full.
    """
    target = cache_folder() / kind / key
    if target.is_dir():
        return target, True
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent / f"{key}.lock"):
            if target.is_dir():
                return target, True
            with _scratch(target.parent, key) as folder:
                make(folder)
                folder.replace(target)
    except OSError as error:
        raise CacheError(_message(target.parent, error)) from error
    return target, False


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _scratch(parent: Path, key: str) -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{key[:16]}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _message(folder: Path, error: OSError) -> str:
    cause = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
    return f"cannot build in {folder}: {cause}; free space there, or set MICRODUET_CACHE to another folder"

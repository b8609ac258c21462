"""A folder of things that were built once, safe for several processes at a time."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

from microduet_sim.errors import SimulatorError

SEAL = "sha256.json"
"""What an entry's files hashed to when it was made."""


class CacheError(SimulatorError):
    """The cache cannot be written, or holds what was not built. The message names the place and the cause in a line."""


def cache_folder() -> Path:
    """``$MICRODUET_CACHE``, or ``microduet`` in the user's cache folder."""
    chosen = os.environ.get("MICRODUET_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microduet"


def publish(kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder `key` among those of `kind`, made by `make` if it is not there yet.

    `make` fills a temporary folder, which then appears under its name all at once: other processes see a complete
    folder or none. A second process that wants the same one waits. If `make` raises, nothing stays behind; what a
    process left that was killed goes when the same thing is made again. What is there already is used only if its files
    are those that were made.

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
        If the cache cannot be written, the disk is full, or an entry's file is not the one that was made.
    """
    target = cache_folder() / kind / key
    if _is_sealed(target):
        return target, True
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent / f"{key}.lock"):
            if _is_sealed(target):
                return target, True
            for left in target.parent.glob(f".{key[:16]}-*"):
                shutil.rmtree(left, ignore_errors=True)
            with _scratch(target.parent, key) as folder:
                make(folder)
                (folder / SEAL).write_text(json.dumps(_digests(folder)))
                shutil.rmtree(target, ignore_errors=True)  # an entry without a seal is none
                folder.replace(target)
    except OSError as error:
        raise CacheError(_message(target.parent, error)) from error
    return target, False


def _is_sealed(target: Path) -> bool:
    """Whether the entry is there; raises CacheError if one of its files is not the one that was made."""
    try:
        text = (target / SEAL).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return False
    found = _digests(target)
    if text != json.dumps(found):
        raise CacheError(f"{target / _changed(text, found)}: is not what was built; remove {target}")
    return True


def _changed(text: str, found: dict[str, str]) -> str:
    """The first file that is not the one of the seal `text`."""
    try:
        made = {str(name): digest for name, digest in json.loads(text).items()}
    except (ValueError, AttributeError):
        return SEAL
    names = {name for name in {*made, *found} if made.get(name) != found.get(name)}
    return min(names, default=SEAL)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder but its seal, by its path in it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / SEAL]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


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

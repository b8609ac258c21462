"""The files of a bundle: written whole or not at all, read without executing anything, told from damaged ones."""

import contextlib
import hashlib
import shutil
import tempfile
import typing
from collections.abc import Generator
from pathlib import Path

import msgspec

from microduet.errors import BundleError
from microduet.unreadable import UNREADABLE

MANIFEST, CONFIG, PLAN, WEIGHTS = "manifest.json", "config.json", "plan.json", "weights.npz"

T = typing.TypeVar("T")


def decode(path: Path, kind: type[T]) -> T:
    """What the JSON file `path` says, as a `kind`; raises BundleError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise BundleError(f"{path}: no such file: not a bundle, or an incomplete one") from error
    except (OSError, *UNREADABLE) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error


class Described(typing.Protocol):
    """A bundle's own description."""

    @property
    def format(self) -> int: ...
    @property
    def config_digest(self) -> str: ...
    @property
    def files(self) -> dict[str, str]: ...


class Digested(typing.Protocol):
    """A configuration."""

    @property
    def digest(self) -> str: ...


M = typing.TypeVar("M", bound=Described)
C = typing.TypeVar("C", bound=Digested)


def read_described(path: Path, manifest: type[M], config: type[C], *, format: int, verify: bool) -> tuple[M, C]:
    """The manifest and the configuration of the bundle `path`, checked in this order: format, files, configuration.

    Parameters
    ----------
    manifest, config : what they are read as
    format : that the bundle must have
    verify : compare the hash of every file, which is otherwise taken for what it was

    Raises
    ------
    BundleError
        If a file is missing, damaged or of another format: names it.
    """
    described = decode(path / MANIFEST, manifest)
    if described.format != format:
        raise BundleError(f"{path / MANIFEST}: bundle format must be {format}, not {described.format}")
    for name, expected in sorted(described.files.items()):
        check_file(path, name, expected, verify=verify)
    found = decode(path / CONFIG, config)
    if found.digest != described.config_digest:
        raise BundleError(f"{path / CONFIG}: is not the configuration of this bundle")
    return described, found


def check_file(path: Path, name: str, expected: str, *, verify: bool) -> None:
    """Raise BundleError unless file `name` of the bundle `path` is there, and has the SHA-256 `expected`."""
    if Path(name).name != name and Path(name).parent != Path("tables"):
        raise BundleError(f"{path / MANIFEST}: {name!r} lies outside the bundle")
    try:
        actual = file_digest(path / name) if verify else expected
    except OSError as error:
        raise BundleError(f"{path / name}: cannot be read: {error.strerror}") from error
    if actual != expected:
        raise BundleError(f"{path / name}: SHA-256 must be {expected[:16]}..., not {actual[:16]}...")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def writing(path: Path, *, keep: bool = False) -> Generator[Path]:
    """A temporary folder beside `path` that takes its name when all is written; removed if anything fails.

    Parameters
    ----------
    keep : what another process has put at `path` meanwhile stays
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(f"{path}: exists and is not a bundle; it is left alone")
    folder: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        yield folder
        folder.chmod(0o755)
        _take_place(folder, path, keep=keep)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _take_place(folder: Path, path: Path, *, keep: bool) -> None:
    if path.exists() and not keep:
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        path.replace(old / path.name)
        try:
            folder.replace(path)
        except OSError:
            (old / path.name).replace(path)
            raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
        return
    try:
        folder.replace(path)
    except OSError:
        if not (keep and path.exists()):  # another process was faster: its bundle has the same contents
            raise

"""Folders and files that appear all at once, or not at all."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from microduet.errors import InputError

Previous = Callable[[Path], list[str] | None]
"""Names of the files that an earlier call wrote to a folder; None if it was not one that did."""


def replace_folder(path: Path, files: Mapping[str, bytes], *, previous: Previous) -> None:
    """Write `files` to a folder `path`. What an earlier call wrote there goes; other files in it stay.

    Raises
    ------
    InputError
        If there is something else at `path`, or it cannot be written: it is then as it was.
    """
    old = _replaced(path, previous)
    folder: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        for name, contents in files.items():
            (folder / name).write_bytes(contents)
        folder.chmod(0o755)
        _take_place(folder, path, old)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def write_file(path: Path, text: str) -> None:
    """Write `text` to the file `path`, in the place of what was there.

    Raises
    ------
    InputError
        If it cannot be written: what was there is then as it was.
    """
    partial: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
            partial = Path(file.name)
            file.write(text)
        partial.chmod(0o644)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _replaced(path: Path, previous: Previous) -> list[str]:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return []
    names = previous(path) if path.is_dir() else None
    if names is None:
        raise InputError(f"{path}: exists and was not written by this command; it is left alone")
    return names


def _take_place(folder: Path, path: Path, old: list[str]) -> None:
    if not path.exists():
        folder.replace(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)) / path.name
    path.replace(aside)
    try:
        folder.replace(path)
    except OSError:
        aside.replace(path)
        raise
    for kept in [entry for entry in aside.iterdir() if entry.name not in old]:
        if not (path / kept.name).exists():
            kept.replace(path / kept.name)
    shutil.rmtree(aside.parent, ignore_errors=True)

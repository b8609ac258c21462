"""Arrays in .npy and .npz files: their sizes are held to the file's before memory is taken, and nothing is executed."""

import math
import tokenize
import typing
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.generic]]

MOST_DEFLATED = 1032
"""Bytes that a byte of deflated data can stand for at most."""


def read_arrays(path: Path) -> Arrays:
    """The arrays of an .npz file by their names.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, or an array's size is not that of its data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): _member(archive, info) for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ValueError(f"not an .npz file: {error}") from error


def map_array(path: Path) -> npt.NDArray[np.generic]:
    """The array of an .npy file, mapped: only what is used is ever in memory.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, or the array's size is not that of the file.
    """
    with path.open("rb") as stream:
        _header(stream, path.stat().st_size)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[np.generic]:
    most = info.compress_size * (1 if info.compress_type == zipfile.ZIP_STORED else MOST_DEFLATED)
    if info.file_size > most:
        raise ValueError(f"{info.filename} cannot have {info.file_size} bytes")
    with archive.open(info) as stream:
        shape, fortran, dtype = _header(stream, info.file_size)
        flat = np.frombuffer(bytearray(stream.read()), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(stream: typing.IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, order and type of the array in a file of `size` bytes, which its data then end."""
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} is not known")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        wanted = math.prod(shape) * dtype.itemsize
    except (SyntaxError, TypeError, tokenize.TokenError, OverflowError, RecursionError) as error:
        raise ValueError(f"not an array's header: {error}") from error
    if dtype.hasobject:
        raise ValueError("the array holds Python objects")
    if min(shape, default=0) < 0 or wanted != size - stream.tell():
        raise ValueError(f"an array {shape} of {dtype} has {wanted} bytes, not {size - stream.tell()}")
    return shape, fortran, dtype

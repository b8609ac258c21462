"""Contents of embedding tables for the simulated memory: computed by a rule, or rows in a (mapped) array."""

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.config import AXI_BYTES, EngineConfig, Precision
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.lookup.geometry import read_beats
from microduet_sim.abi import MdPart, MdTable, address
from microduet_sim.build import tables_library


@dataclass(frozen=True, kw_only=True)
class GeneratedTable:
    """Rows computed from (seed, table, row, column); no memory is used.

    Parameters
    ----------
    seed, table : of the rule
    amplitude_log2 : values lie within ± 2^-amplitude_log2
    fraction : fixed16, fixed32: fraction bits of an element
    scale : int8: the quantisation step
    """

    seed: int
    table: int
    amplitude_log2: int = 0
    fraction: int = 0
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class StoredTable:
    """Quantised rows in an array, which may be mapped from a file: only the rows read are ever in memory.

    Parameters
    ----------
    rows : (rows, dim), int16, int32 or uint8 by the precision
    """

    rows: npt.NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class ProductTable:
    """Rows of two tables: row i is row ``i // second_rows`` of `first`, then row ``i % second_rows`` of `second`.

    Parameters
    ----------
    first_columns : elements of a row of `first`
    """

    first: GeneratedTable | StoredTable
    second: GeneratedTable | StoredTable
    second_rows: int
    first_columns: int

    @functools.cached_property
    def arguments(self) -> tuple[MdTable, MdTable]:
        """Both factors as the C++ runtime takes them; they live as long as the product."""
        return table_argument(self.first), table_argument(self.second)


TableImage = GeneratedTable | StoredTable | ProductTable

ELEMENT_TYPES = {Precision.FIXED16: np.int16, Precision.FIXED32: np.int32, Precision.INT8: np.uint8}


def table_argument(image: TableImage) -> MdTable:
    """The image as the C++ runtime takes it; it refers to arrays and factors, which have to live as long."""
    if isinstance(image, ProductTable):
        first, second = image.arguments
        return MdTable(
            first=ctypes.addressof(first),
            second=ctypes.addressof(second),
            second_rows=image.second_rows,
            first_columns=image.first_columns,
        )
    if isinstance(image, StoredTable):
        return MdTable(rows=address(image.rows), row_bytes=image.rows.strides[0], scale=1.0)
    mask = (1 << 64) - 1
    return MdTable(
        seed=image.seed & mask,
        table=image.table & mask,
        amplitude_log2=image.amplitude_log2,
        fraction=image.fraction,
        scale=image.scale,
    )


def check_images(config: EngineConfig | EdgeConfig, images: Sequence[TableImage]) -> None:
    """Raise ValueError unless there is one image of the right shape and type per feature."""
    if len(images) != len(config.features):
        raise ValueError(f"tables must be one per feature, {len(config.features)}, not {len(images)}")
    wanted = np.dtype(ELEMENT_TYPES[config.precision])
    for number, (feature, image) in enumerate(zip(config.features, images, strict=True)):
        if isinstance(image, ProductTable):
            shapes = (
                (feature.rows // image.second_rows, image.first_columns),
                (image.second_rows, feature.dim - image.first_columns),
            )
            factors = (image.first, image.second)
        else:
            shapes, factors = ((feature.rows, feature.dim),), (image,)
        for shape, factor in zip(shapes, factors, strict=True):
            if isinstance(factor, StoredTable):
                _check_rows(factor.rows, shape, wanted, name=f"table {number}")


def _check_rows(
    rows: npt.NDArray[np.generic], shape: tuple[int, int], wanted: np.dtype[np.generic], *, name: str
) -> None:
    if rows.dtype != wanted or rows.shape != shape or not rows.flags.c_contiguous:
        raise ValueError(f"{name} must be contiguous {wanted} {shape}, not {rows.dtype} {rows.shape}")


def part_arguments(config: EngineConfig | EdgeConfig) -> list[MdPart]:
    """The parts in memory channels, with channels counted in the order of `config.channels`."""
    return [
        MdPart(
            channel=number,
            table=part.feature,
            row_first=part.row_first,
            rows=part.rows,
            column_first=part.column_first,
            columns=part.columns,
            base=part.base,
            stride_log2=part.stride_log2,
            row_step_log2=part.row_step_log2,
            hole_log2=part.hole_log2,
            hole_bits=part.hole_bits,
            check_beats=read_beats(config, part) if isinstance(config, EngineConfig) and config.row_check else 0,
        )
        for number, source in enumerate(config.channels)
        for part in config.sources[source].parts
    ]


def channel_beats(
    config: EngineConfig, images: Sequence[TableImage], *, channel: int, addresses: npt.ArrayLike
) -> npt.NDArray[np.uint8]:
    """What the simulated memory of a channel (counted as in `config.channels`) holds: uint8 (len(addresses), 32)."""
    places = np.ascontiguousarray(addresses, np.uint64)
    parts = [part for part in part_arguments(config) if part.channel == channel]
    tables = [table_argument(image) for image in images]
    out = np.empty((places.size, AXI_BYTES), np.uint8)
    _rows_library().md_channel_beats(
        (MdTable * len(tables))(*tables),
        config.precision.width,
        (MdPart * len(parts))(*parts),
        len(parts),
        address(places),
        places.size,
        address(out),
    )
    return out


def table_rows(image: TableImage, *, precision: Precision, rows: npt.ArrayLike, columns: int) -> npt.NDArray[np.int64]:
    """Quantised rows as the simulated memory holds them: int64 (len(rows), columns).

    Raises
    ------
    ValueError
        If a row number is negative, or beyond a stored table.
    """
    numbers = np.ascontiguousarray(rows, np.int64)
    if numbers.size and numbers.min() < 0:
        raise ValueError(f"row numbers must not be negative, not {numbers.min()}")
    if isinstance(image, StoredTable) and numbers.size and numbers.max() >= len(image.rows):
        raise ValueError(f"row numbers must be below {len(image.rows)}, not {numbers.max()}")
    out = np.empty((numbers.size, columns), np.int64)
    table = table_argument(image)
    width = precision.width
    _rows_library().md_table_rows(ctypes.byref(table), width, address(numbers), numbers.size, columns, address(out))
    return out


@functools.cache
def _rows_library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(tables_library()))
    pointer = ctypes.c_void_p
    table = ctypes.POINTER(MdTable)
    library.md_table_rows.argtypes = [table, ctypes.c_uint32, pointer, ctypes.c_uint64, ctypes.c_uint32, pointer]
    library.md_table_rows.restype = None
    parts, u32, u64 = ctypes.POINTER(MdPart), ctypes.c_uint32, ctypes.c_uint64
    library.md_channel_beats.argtypes = [table, u32, parts, u32, pointer, u64, pointer]
    library.md_channel_beats.restype = None
    return library

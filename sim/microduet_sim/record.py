"""What the arrays' pairs were told, cycle by cycle: to find the layer in which a wrong score began."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig
from microduet_hw.pe_array import pe_array_shape

FLAGS = 2
"""Words before the operands: whether the pairs accumulated, and the row's address."""


@dataclass(frozen=True, kw_only=True)
class OperandRecord:
    """A row per engine cycle and array.

    Members
    -------
    arrays : per array uint32 (cycles, 2 + words): accumulate, address, the operands' bits
    """

    arrays: tuple[npt.NDArray[np.uint32], ...]


def row_words(config: EngineConfig) -> list[int]:
    """32-bit words of each array's part of a row."""
    shapes = [pe_array_shape(config, array).pe for array in config.arrays]
    return [FLAGS + -(-pe.lanes * pe.operand_bits // 32) for pe in shapes]


def split_rows(config: EngineConfig, rows: npt.NDArray[np.uint32]) -> OperandRecord:
    """The record in whole rows, array by array."""
    return OperandRecord(arrays=tuple(np.split(rows, np.cumsum(row_words(config))[:-1], axis=1)))

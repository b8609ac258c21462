"""What the driver refuses before it sends anything: every message names the place and what is allowed there."""

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet.shape import ModelShape
from microduet_hw.config import EngineConfig

Shape = ModelShape | EngineConfig
Items = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32] | None]


def check_batch(config: Shape, sparse: object, dense: object = None, *, empty: bool = False) -> Items:
    """`sparse` as int64 (items, lookups) and `dense` as float32 (items, D) or None, both contiguous.

    Parameters
    ----------
    empty : an id may be -1, an empty place of a history

    Raises
    ------
    InputError
        If a type or shape is wrong, an id is out of its table's range, a dense value is not finite or there is no item.
    """
    ids = _check_sparse(config, sparse, least=-1 if empty else 0)
    return ids, _check_dense(config, dense, len(ids))


def column_rows(config: Shape) -> npt.NDArray[np.int64]:
    """Rows of the table that each column of `sparse` indexes: int64 (lookups,)."""
    return np.array([f.rows for f in config.features for _ in range(f.lookups)], np.int64)


def _check_sparse(config: Shape, sparse: object, *, least: int) -> npt.NDArray[np.int64]:
    if not isinstance(sparse, np.ndarray):
        raise InputError(f"sparse must be a numpy array of int64, not {type(sparse).__name__}")
    if sparse.dtype.kind not in "iu" or not np.can_cast(sparse.dtype, np.int64):
        raise InputError(f"sparse must have dtype int64, not {sparse.dtype}")
    if sparse.ndim != 2 or sparse.shape[1] != config.lookups:
        raise InputError(f"sparse must have shape (items, {config.lookups}), not {sparse.shape}")
    if not len(sparse):
        raise InputError("sparse must hold at least one item, not 0")
    rows = column_rows(config)
    ids = np.ascontiguousarray(sparse, np.int64)
    if ids.min() < least or (ids.max(axis=0) >= rows).any():
        item, column = np.argwhere((ids < least) | (ids >= rows))[0].tolist()
        raise InputError(
            f"sparse[{item}, {column}] must be {least} to {rows[column] - 1} (feature {_feature_of(config, column)}), "
            f"not {ids[item, column]}"
        )
    return ids


def _feature_of(config: Shape, column: int) -> int:
    numbers = [number for number, feature in enumerate(config.features) for _ in range(feature.lookups)]
    return numbers[column]


def _check_dense(config: Shape, dense: object, items: int) -> npt.NDArray[np.float32] | None:
    if dense is None:
        if config.dense:
            raise InputError(f"dense must be float32 of shape ({items}, {config.dense}), not None")
        return None
    if not config.dense:
        raise InputError(f"{config.name} has no dense features: dense must be None, not {type(dense).__name__}")
    if not isinstance(dense, np.ndarray):
        raise InputError(f"dense must be a numpy array of float32, not {type(dense).__name__}")
    if dense.dtype != np.float32:
        raise InputError(f"dense must have dtype float32, not {dense.dtype}")
    if dense.shape != (items, config.dense):
        raise InputError(f"dense must have shape ({items}, {config.dense}), not {dense.shape}")
    finite = np.isfinite(dense)
    if not finite.all():
        item, column = np.argwhere(~finite)[0].tolist()
        raise InputError(f"dense[{item}, {column}] must be finite, not {dense[item, column]}")
    return np.ascontiguousarray(dense)

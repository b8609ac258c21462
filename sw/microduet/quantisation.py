"""From float32 to the integers of an engine's input vector, and back: shared by tables and dense features."""

import numpy as np
import numpy.typing as npt

from microduet.generated import GeneratedTable
from microduet_hw.config import Frozen, Precision
from microduet_hw.quantised import INPUT_ZERO_POINT


class InputQuantisation(Frozen, frozen=True, kw_only=True):
    """One scale for all features and the dense inputs.

    fixed16, fixed32: ``saturate(round_half_even(x 2^fraction))``. int8: ``clip(rint(x / scale) + 128, 0, 255)``, the
    division in float64.
    """

    precision: Precision
    fraction: int = 0
    scale: float = 1.0
    """int8 only."""

    @property
    def step(self) -> float:
        """What one unit stands for."""
        return self.scale if self.precision is Precision.INT8 else 2.0**-self.fraction

    @property
    def zero_point(self) -> int:
        """The integer that stands for zero."""
        return INPUT_ZERO_POINT if self.precision is Precision.INT8 else 0

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The narrowest numpy type that holds a quantised element."""
        return np.dtype({"fixed16": np.int16, "fixed32": np.int32, "int8": np.uint8}[self.precision])

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and greatest integer."""
        info = np.iinfo(self.dtype)  # type: ignore[arg-type]
        return int(info.min), int(info.max)

    def integers(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Quantised `values` (any shape, finite), int64."""
        exact = values.astype(np.float64)
        if self.precision is Precision.INT8:
            scaled = np.rint(exact / self.scale) + INPUT_ZERO_POINT
        else:
            scaled = np.rint(np.ldexp(exact, self.fraction))
        return np.clip(scaled, *self.bounds).astype(np.int64)

    def generated(self, table: GeneratedTable, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Quantised rows `ids` of a generated table: int64 (..., dim)."""
        return self.integers(np.ldexp(table.integers(ids).astype(np.float64), -table.fraction))

"""The model zoo as plain data: shapes and seeds, no torch."""

import typing

from microduet.errors import ModelError
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import Frozen

MICROREC_WIDTHS = (1024, 512, 256, 1)
"""Fully connected layers of every model of the MicroRec paper."""

MICROREC_SMALL = (
    (4, 100, 4), (4, 500, 2), (4, 1000, 10), (8, 3000, 1), (8, 10_000, 15), (8, 20_000, 1), (8, 30_000, 1),
    (8, 100_000, 10), (16, 500_000, 1), (16, 1_000_000, 1), (32, 10_000_000, 1),
)  # fmt: skip
"""Tables of MicroRec's small production model: (dim, rows, count), as its authors published them."""

MICROREC_LARGE = (
    (4, 100, 12), (4, 500, 6), (4, 1000, 9), (8, 5000, 14), (8, 15_000, 2), (8, 50_000, 30), (8, 100_000, 2),
    (8, 150_000, 2), (16, 500_000, 16), (16, 1_000_000, 2), (16, 5_000_000, 1), (32, 10_000_000, 1),
    (32, 100_000_000, 1),
)  # fmt: skip
"""Tables of MicroRec's large production model: (dim, rows, count)."""

RMC2_ROWS, RMC2_LOOKUPS = 500_000, 4
NAMES = ("microrec-small", "microrec-large", "rmc2-8", "rmc2-12")
LARGER = ("microrec-huge",)
"""Models larger than a card: 60 GB in fixed16."""
HUGE_TIMES = 8
"""Rows of the huge model's tables beside those of the large one."""

Storage = typing.Literal["generated", "dense"]
"""Whether a table computes its rows by a hash or stores them."""


class ZooModel(Frozen, frozen=True, kw_only=True):
    """One model of the zoo: equal values give equal weights and equal tables."""

    shape: ModelShape
    seed: int = 0
    tables: Storage = "generated"


def microrec(
    size: typing.Literal["small", "large", "huge"], *, seed: int = 0, tables: Storage = "generated"
) -> ZooModel:
    """MicroRec's production model of one size; the huge one has the large one's tables with more rows."""
    groups = MICROREC_SMALL if size == "small" else MICROREC_LARGE
    times = HUGE_TIMES if size == "huge" else 1
    listed = [(rows * times, dim, 1) for dim, rows, count in groups for _ in range(count)]
    return ZooModel(shape=_shape(f"microrec-{size}", listed), seed=seed, tables=tables)


def rmc2(*, tables: int = 8, dim: int = 32, seed: int = 0, storage: Storage = "generated") -> ZooModel:
    """RMC2: `tables` tables of 500,000 rows of `dim` elements, four lookups each, summed."""
    if tables not in (8, 12):
        raise ModelError(f"rmc2 has 8 or 12 tables, not {tables!r}")
    if not 4 <= dim <= 64:
        raise ModelError(f"rmc2's dim must be 4 to 64, not {dim!r}")
    shape = _shape(f"rmc2-{tables}", [(RMC2_ROWS, dim, RMC2_LOOKUPS)] * tables)
    return ZooModel(shape=shape, seed=seed, tables=storage)


def find(name: str, *, seed: int = 0, dim: int = 32) -> ZooModel:
    """The zoo's model called `name`; raises ModelError, listing the names, if there is none."""
    match name:
        case "microrec-small":
            return microrec("small", seed=seed)
        case "microrec-large":
            return microrec("large", seed=seed)
        case "microrec-huge":
            return microrec("huge", seed=seed)
        case "rmc2-8":
            return rmc2(tables=8, dim=dim, seed=seed)
        case "rmc2-12":
            return rmc2(tables=12, dim=dim, seed=seed)
        case _:
            raise ModelError(f"model must be {', '.join((*NAMES, *LARGER))} or module.py:factory, not {name!r}")


def _shape(name: str, tables: list[tuple[int, int, int]]) -> ModelShape:
    features = concatenated(tables)
    layers = perceptron(sum(feature.dim for feature in features), MICROREC_WIDTHS)
    return ModelShape(name=name, features=features, hidden=layers[:-1], output=layers[-1])

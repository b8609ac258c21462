"""Duet's models RM1 to RM5 and MicroRec's small model, described for a split; plain data."""

import typing

from microduet import zoo
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide, read_shape
from microduet.duet.split import Split, SplitName, duet_split, exact_split
from microduet.errors import ModelError
from microduet_hw.config import Frozen

RM = ("rm1", "rm2", "rm3", "rm4", "rm5")
NAMES = (*RM, "microrec-small")

_TABLES = {
    "rm1": (8, 4_000_000, 32, 80),
    "rm2": (32, 500_000, 64, 120),
    "rm3": (10, 2_000_000, 32, 20),
    "rm4": (10, 2_000_000, 32, 20),
}
"""Tables, rows, dim, lookups (Duet, Table 2)."""

_WIDTHS = {
    "rm1": ((128, 64, 32), (256, 64, 1)),
    "rm2": ((256, 128, 64), (128, 64, 1)),
    "rm3": ((2560, 1024, 256, 32), (512, 256, 1)),
    "rm4": ((512, 256, 32), (2560, 1024, 1)),
}
"""Bottom and top MLP (Duet, Table 2)."""

RM5_ROWS, RM5_DIM, RM5_HISTORY = 1_000_000, 18, 199
"""Of 200 lookups in each shared table, 199 are the user's history and one is the candidate's (Duet, section 6)."""

RM5_SLOTS = 200
"""Entries that Duet's Table 4 counts for RM5's scratchpad: (1 + 200 + 200) x 18 x 4 bytes are its 28.2 KB."""

MICROREC_USER_ELEMENTS = 264
"""75 % of the small model's 352 inputs."""


class DlrmModelSpec(Frozen, frozen=True, kw_only=True):
    """A model that torch can build: equal values give equal weights and equal tables."""

    shape: DlrmShape
    split: Split | None = None
    seed: int = 0
    tables: zoo.Storage = "generated"


def shape_of(name: str) -> DlrmShape:
    """The description called `name`, or the one in a .json file; raises ModelError, listing the names."""
    if name.endswith(".json"):
        return read_shape(name)
    if name in _TABLES:
        return _rm(name)
    match name:
        case "rm5":
            return _rm5()
        case "microrec-small":
            return _microrec()
        case _:
            raise ModelError(f"model must be {', '.join(NAMES)} or a description (.json), not {name!r}")


def split_of(shape: DlrmShape, kind: SplitName) -> Split | None:
    """Split `kind` of `shape` as the paper makes it: two top layers, RM5 one, with Table 4's 200 slots."""
    match kind:
        case "none":
            return None
        case "exact":
            return exact_split(shape)
        case "duet" if shape.with_rows(RM5_ROWS) == _rm5():
            # 54 of 90 inputs are the user's: 60 %, and so are 120 of 200 outputs.
            return Split(kind="duet", user_top=(120,), slots=(1, RM5_SLOTS, RM5_SLOTS))
        case "duet":
            return duet_split(shape)
        case _:
            raise ModelError(f"split must be {', '.join(typing.get_args(SplitName))}, not {kind!r}")


def spec(
    name: str, *, split: SplitName = "none", rows: int | None = None, seed: int = 0, tables: zoo.Storage = "generated"
) -> DlrmModelSpec:
    """Model `name`, cut by `split`, its tables of `rows` rows if given."""
    shape = shape_of(name)
    return DlrmModelSpec(shape=shape.with_rows(rows), split=split_of(shape, split), seed=seed, tables=tables)


def _rm(name: str) -> DlrmShape:
    count, rows, dim, lookups = _TABLES[name]
    bottom, top = _WIDTHS[name]
    static = bottom[0] * 7 // 8
    return DlrmShape(
        name=name,
        tables=(TableShape(rows=rows, dim=dim),) * count,
        features=tuple(Lookups(table=k, lookups=lookups) for k in range(count)),
        bottom=bottom,
        top=top,
        user=UserSide(
            features=tuple(range(count * 3 // 4)),
            static=tuple(range(static)),
            context=tuple(range(static, bottom[0])),
        ),
    )


def _rm5() -> DlrmShape:
    """DIN with its history summed: user id, past items, past categories; the candidate's item and category."""
    history = [Lookups(table=0), Lookups(table=1, lookups=RM5_HISTORY), Lookups(table=2, lookups=RM5_HISTORY)]
    return DlrmShape(
        name="rm5",
        tables=(TableShape(rows=RM5_ROWS, dim=RM5_DIM),) * 3,
        features=(*history, Lookups(table=1), Lookups(table=2)),
        top=(200, 80, 2),
        user=UserSide(features=(0, 1, 2)),
    )


def _microrec() -> DlrmShape:
    """MicroRec's small model; the user's are its first tables, as many as make 75 % of the inputs."""
    features = zoo.microrec("small").shape.features
    return DlrmShape(
        name="microrec-small",
        tables=tuple(TableShape(rows=feature.rows, dim=feature.dim) for feature in features),
        features=tuple(Lookups(table=k) for k in range(len(features))),
        top=zoo.MICROREC_WIDTHS,
        user=UserSide(features=tuple(k for k, f in enumerate(features) if f.position < MICROREC_USER_ELEMENTS)),
    )

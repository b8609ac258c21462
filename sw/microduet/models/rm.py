"""RM1 to RM5 of the Duet paper, and any other model of DLRM's form, whole or cut."""

import typing
from collections.abc import Callable
from pathlib import Path

from microduet import zoo as tables_zoo
from microduet.duet import zoo
from microduet.duet.shape import DlrmShape, read_shape
from microduet.duet.split import SplitName
from microduet.models.dlrm import DlrmModel
from microduet.models.split import SplitModel, build_dlrm


class Common(typing.TypedDict, total=False):
    """Keyword arguments of every model here, beside `split`.

    Members
    -------
    rows : of every table, in place of the model's own
    seed : equal seeds give equal weights and tables
    tables : "generated" (default) or "dense"
    """

    rows: int | None
    seed: int
    tables: tables_zoo.Storage


class Options(Common, total=False):
    """As `Common`, with ``split``: "none" (default), "duet" or "exact"."""

    split: SplitName


class Whole(Common, total=False):
    """Keyword arguments of a model that is not split."""

    split: typing.Literal["none"]


class Cut(Common, total=False):
    """Keyword arguments of a split model."""

    split: typing.Required[typing.Literal["duet", "exact"]]


class Maker(typing.Protocol):
    """What makes a model of the zoo: with a split a `SplitModel`, without one a `DlrmModel`."""

    @typing.overload
    def __call__(self, **options: typing.Unpack[Cut]) -> SplitModel: ...
    @typing.overload
    def __call__(self, **options: typing.Unpack[Whole]) -> DlrmModel: ...


def by_split(function: Callable[..., DlrmModel | SplitModel]) -> Maker:
    """Tell the checker of types which of both `function` makes."""
    return typing.cast(Maker, function)


@by_split
def rm1(**options: typing.Unpack[Options]) -> DlrmModel | SplitModel:
    """RM1: 8 tables of 4M rows, 80 lookups each; bottom 128-64-32, top 256-64-1."""
    return build_dlrm(zoo.spec("rm1", **options))


@by_split
def rm2(**options: typing.Unpack[Options]) -> DlrmModel | SplitModel:
    """RM2: 32 tables of 500k rows, 120 lookups each; bottom 256-128-64, top 128-64-1."""
    return build_dlrm(zoo.spec("rm2", **options))


@by_split
def rm3(**options: typing.Unpack[Options]) -> DlrmModel | SplitModel:
    """RM3: 10 tables of 2M rows, 20 lookups each; bottom 2560-1024-256-32, top 512-256-1."""
    return build_dlrm(zoo.spec("rm3", **options))


@by_split
def rm4(**options: typing.Unpack[Options]) -> DlrmModel | SplitModel:
    """RM4: 10 tables of 2M rows, 20 lookups each; bottom 512-256-32, top 2560-1024-1."""
    return build_dlrm(zoo.spec("rm4", **options))


@by_split
def rm5(**options: typing.Unpack[Options]) -> DlrmModel | SplitModel:
    """RM5: user id, items and categories, 199 past ones each and the candidate's; top 200-80-2."""
    return build_dlrm(zoo.spec("rm5", **options))


@typing.overload
def dlrm(description: DlrmShape | Path | str, **options: typing.Unpack[Cut]) -> SplitModel: ...
@typing.overload
def dlrm(description: DlrmShape | Path | str, **options: typing.Unpack[Whole]) -> DlrmModel: ...
def dlrm(description: DlrmShape | Path | str, **options: typing.Unpack[Options]) -> DlrmModel | SplitModel:
    """Any model of DLRM's form: a description, or the JSON file of one."""
    shape = description if isinstance(description, DlrmShape) else read_shape(description)
    shape = shape.with_rows(options.get("rows"))
    return build_dlrm(
        zoo.DlrmModelSpec(
            shape=shape,
            split=zoo.split_of(shape, options.get("split", "none")),
            seed=options.get("seed", 0),
            tables=options.get("tables", "generated"),
        )
    )

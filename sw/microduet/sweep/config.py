"""The file that describes a sweep, checked before anything is measured."""

import dataclasses
import itertools
import math
import typing
from pathlib import Path
from typing import Annotated, Any

import msgspec

from microduet import boards, model_names
from microduet.errors import InputError, MicroduetError
from microduet.sweep.arrays import check_label
from microduet.sweep.point import Measure, Natural, Point, Text
from microduet.unreadable import UNREADABLE

MOST = 10_000
"""Points of a sweep."""
ENGINE = ("model", "precision", "board", "arrays", "multipliers")
SIMULATED = (*ENGINE, "channels", "engine_mhz", "memory_mhz", "seed")
AXES = {
    "search": ENGINE,
    "engine": (*SIMULATED, "memory", "traffic", "items"),
    "query": (*SIMULATED, "n"),
}
"""What each measure depends on; a sweep over anything else would measure the same point again and again."""
TYPES = typing.get_type_hints(Point, include_extras=True)

Axes = dict[str, list[Any]]


class _Sweep(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The table [sweep]."""

    name: Text
    output: Text
    measure: Measure
    retries: Natural = 1
    plot: Text | None = None


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    sweep: _Sweep
    axes: dict[str, Any]
    exclude: list[dict[str, Any]] = []


class _Range(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Integers from `first` up to `last`, which is one of them if `step` divides the way."""

    first: Natural = msgspec.field(name="from")
    last: Natural = msgspec.field(name="to")
    step: Annotated[int, msgspec.Meta(ge=1)] = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep as it is run.

    Members
    -------
    output, plot : paths, relative ones from the folder of the file that describes it
    retries : of a point that fails, in the same run
    """

    name: str
    output: Path
    plot: Path | None
    retries: int
    points: tuple[Point, ...]


def read(path: Path) -> Sweep:
    """The sweep that a TOML file describes.

    Raises
    ------
    InputError
        If it describes none: names the key and says what is allowed.
    """
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
        axes = {name: _values(name, given, file.sweep.measure) for name, given in file.axes.items()}
        if "model" not in axes:
            raise InputError("axes.model is missing: it takes names of `microduet models`")
        if {"arrays", "multipliers"} <= set(axes):
            raise InputError("axes.arrays and axes.multipliers exclude each other: arrays have their multipliers")
        if math.prod(len(values) for values in axes.values()) > MOST:
            raise InputError(f"axes describe more than {MOST} points")
        points = _points(file, axes)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (*UNREADABLE, MicroduetError) as error:
        raise InputError(f"{path}: {error}") from error
    plot = file.sweep.plot
    return Sweep(
        name=file.sweep.name,
        output=path.parent / file.sweep.output,
        plot=None if plot is None else path.parent / plot,
        retries=file.sweep.retries,
        points=points,
    )


def _values(name: str, given: Any, measure: str, *, where: str = "axes") -> list[Any]:
    """The values of an axis, given as one, a list of them or a range."""
    allowed = AXES[measure]
    if name not in allowed:
        raise InputError(f"{where}.{name}: axes of measure {measure} are {', '.join(allowed)}")
    try:
        if isinstance(given, dict):
            chosen = msgspec.convert(given, _Range)
            if (chosen.last - chosen.first) // chosen.step >= MOST:
                raise InputError(f"{where} describe more than {MOST} points")
            given = list(range(chosen.first, chosen.last + 1, chosen.step))
        values = given if isinstance(given, list) else [given]
        values = [msgspec.convert(value, TYPES[name]) for value in values]
    except msgspec.ValidationError as error:
        raise InputError(f"{where}.{name}: {error}") from error
    if not values or len(set(values)) < len(values):
        raise InputError(f"{where}.{name} must have at least one value, each once, not {given!r}")
    return values


def _points(file: _File, axes: Axes) -> tuple[Point, ...]:
    """The product of the axes without what is excluded."""
    excluded = [
        {name: _values(name, given, file.sweep.measure, where="exclude") for name, given in one.items()}
        for one in file.exclude
    ]
    for one in excluded:
        if not one or not set(one) <= set(axes):
            raise InputError(f"exclude must name some of the axes {', '.join(axes)}, not {', '.join(one) or 'none'}")
    points: list[Point] = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        if not any(all(chosen[name] in unwanted for name, unwanted in one.items()) for one in excluded):
            points.append(Point(measure=file.sweep.measure, **chosen))
    if not points:
        raise InputError("exclude leaves no point")
    for point in points:
        _check(point)
    return tuple(points)


def _check(point: Point) -> None:
    """Raise MicroduetError for what no engine can have, without loading a model."""
    source = point.model.rpartition(":")[0] if ".py:" in point.model else point.model
    if source.endswith((".py", model_names.CHECKPOINT, model_names.DESCRIPTION)):
        if not Path(source).is_file():
            raise InputError(f"axes.model: {source}: no such file")
    else:
        model_names.find(point.model)
    board = boards.find(point.board)
    if point.channels is not None:
        board.first_channels(point.channels)
    if point.arrays is not None:
        check_label(point.arrays)

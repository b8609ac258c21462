"""A click log from what a user names on the command line."""

from microduet.data.schema import DataSet
from microduet.duet.shape import DlrmShape
from microduet.errors import InputError


def open_data(spec: str, shape: DlrmShape | None = None, *, seed: int = 0) -> DataSet:
    """The click log `spec`.

    Parameters
    ----------
    spec : generated or generated:ROWS
    shape : the model whose inputs a generated log has; it needs one
    seed : of a generated log

    Raises
    ------
    InputError
        If `spec` is none of these, or a generated log has no shape.
    """
    kind, _, rest = spec.partition(":")
    if kind == "generated":
        return _generated(rest, shape, seed)
    raise InputError(f"data must be generated or generated:ROWS, not {spec!r}")


def _generated(rows: str, shape: DlrmShape | None, seed: int) -> DataSet:
    from microduet.data.generated import DEFAULT_ROWS, for_shape

    if shape is None:
        raise InputError("generated: a model is needed, whose inputs the log has")
    digits = rows.replace("_", "").replace(",", "")
    if rows and not (digits.isascii() and digits.isdigit()):
        raise InputError(f"generated: ROWS must be a number, not {rows!r}")
    return for_shape(shape, rows=int(digits) if digits else DEFAULT_ROWS, seed=seed)

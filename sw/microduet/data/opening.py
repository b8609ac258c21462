"""A click log from what a user names on the command line."""

from collections.abc import Callable
from pathlib import Path

from microduet.data.schema import DataSet
from microduet.duet.shape import DlrmShape
from microduet.errors import DataError, InputError
from microduet.progress import Steps

LOADERS = ("criteo", "taobao", "amazon", "movielens")


def open_data(
    spec: str,
    shape: DlrmShape | None = None,
    *,
    seed: int = 0,
    rows: int | None = None,
    skip_bad: bool = False,
    progress: Steps | None = None,
) -> DataSet:
    """The click log `spec`.

    Parameters
    ----------
    spec : generated, generated:ROWS, a path, or criteo:PATH, taobao:PATH, amazon:PATH or movielens:PATH. Without the
        kind, a file is Criteo's, and a folder is told by the files in it
    shape : the model whose inputs a generated log has; it needs one
    seed : of a generated log
    rows : of every table of a log from files, ids are then hashed; None: as many as there are values
    skip_bad : leave out bad lines of files, and count them
    progress : called while files are parsed for the first time

    Raises
    ------
    InputError
        If `spec` is none of these, or a generated log has no shape, or rows or skip_bad.
    DataError
        If there is no log at the path, or it is not of its format.
    """
    kind, colon, rest = spec.partition(":")
    if kind == "generated":
        if rows is not None or skip_bad:
            raise InputError(f"{spec}: ids are hashed and bad lines skipped in data sets from files, not in this one")
        return _generated(rest, shape, seed)
    path = Path(rest if colon and kind in LOADERS else spec)
    if not str(rest if colon and kind in LOADERS else spec):
        raise InputError(f"data must be generated, generated:ROWS, PATH or one of {', '.join(LOADERS)} and :PATH, "
                         f"not {spec!r}")  # fmt: skip
    return _loader(kind if colon and kind in LOADERS else _kind(path))(path, rows, skip_bad, progress)


def _kind(path: Path) -> str:
    if path.is_file():
        return "criteo"
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; data may also be generated or generated:ROWS")
    for kind, patterns in (
        ("movielens", ("u.data", "ratings.dat")),
        ("taobao", ("raw_sample.csv",)),
        ("amazon", ("reviews_*.json*",)),
    ):
        if any(next(path.glob(pattern), None) for pattern in patterns):
            return kind
    if (path / "train.txt").is_file():
        return "criteo"
    raise DataError(f"{path}: has none of train.txt, u.data, ratings.dat, raw_sample.csv and reviews_*.json.gz")


Loader = Callable[[Path, int | None, bool, Steps | None], DataSet]


def _loader(kind: str) -> Loader:
    from microduet.data import amazon, criteo, movielens, taobao

    def load_criteo(path: Path, rows: int | None, skip_bad: bool, progress: Steps | None) -> DataSet:
        file = path / "train.txt" if path.is_dir() else path
        return criteo.open_log(file, rows=rows, skip_bad=skip_bad, progress=progress)

    if kind == "criteo":
        return load_criteo
    module = {"taobao": taobao, "amazon": amazon, "movielens": movielens}[kind]
    return lambda path, rows, skip_bad, progress: module.open_log(path, rows=rows, skip_bad=skip_bad, progress=progress)


def _generated(rows: str, shape: DlrmShape | None, seed: int) -> DataSet:
    from microduet.data.generated import DEFAULT_ROWS, for_shape

    if shape is None:
        raise InputError("generated: a model is needed, whose inputs the log has")
    digits = rows.replace("_", "").replace(",", "")
    if rows and not (digits.isascii() and digits.isdigit()):
        raise InputError(f"generated: ROWS must be a number, not {rows!r}")
    return for_shape(shape, rows=int(digits) if digits else DEFAULT_ROWS, seed=seed)

"""A generated log in the files of Criteo and MovieLens, for people without the data sets and to check the loaders."""

from pathlib import Path
from typing import Literal

import numpy as np

from microduet.data.criteo_text import CATEGORIES, NUMBERS
from microduet.data.draws import draw, stream
from microduet.data.generated import GeneratedLog
from microduet.data.schema import PARTS, Part
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide
from microduet.errors import DataError
from microduet.folders import write_file

FIRST_SECOND = 956_703_932
"""Of ratings; the first one of MovieLens 1M."""

GENRES = ("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
          "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western")  # fmt: skip


def criteo_shape(rows: int = 10_000) -> DlrmShape:
    """A model with Criteo's columns: 13 dense inputs and 26 features of one lookup, 19 of them the user's."""
    return DlrmShape(
        name="criteo",
        tables=(TableShape(rows=rows, dim=16),) * len(CATEGORIES),
        features=tuple(Lookups(table=k) for k in range(len(CATEGORIES))),
        bottom=(len(NUMBERS), 64, 16),
        top=(256, 64, 1),
        user=UserSide(features=tuple(range(19)), static=tuple(range(11)), context=(11, 12)),
    )


def movielens_shape(films: int = 1682, history: int = 20) -> DlrmShape:
    """A model of a user's number, his history and a film."""
    return DlrmShape(
        name="movielens",
        tables=(TableShape(rows=10_000, dim=16), TableShape(rows=films, dim=16)),
        features=(Lookups(table=0), Lookups(table=1, lookups=history), Lookups(table=1)),
        top=(64, 16, 1),
        user=UserSide(features=(0, 1)),
    )


def category_text(column: int, ids: np.ndarray) -> list[str]:
    """8 hexadecimal digits for ids of a column, different ones for different ids; nothing for id 0."""
    values = (ids.astype(np.uint64) * np.uint64(0x9E3779B1) + np.uint64(column)) & np.uint64(0xFFFFFFFF)
    return [f"{value:08x}" if number else "" for value, number in zip(values.tolist(), ids.tolist(), strict=True)]


def counts_of(dense: np.ndarray) -> np.ndarray:
    """Whole numbers, -3 and more, that grow with normal values: int64, of the same shape."""
    return np.floor(np.exp(1.5 * dense.astype(np.float64) + 2)).astype(np.int64) - 3


def write_criteo(log: GeneratedLog, path: Path) -> None:
    """Write all parts of a log of `criteo_shape`, in order, as Criteo's text; a number 0 is left empty.

    Raises
    ------
    DataError
        If the log has other columns, or the file cannot be written.
    """
    if (log.schema.lookups, len(log.schema.dense)) != (len(CATEGORIES), len(NUMBERS)):
        raise DataError(f"{path}: a log in Criteo's form has {len(NUMBERS)} dense inputs and {len(CATEGORIES)} ids")
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w") as file:
            for part in PARTS:
                for chunk in log.chunks(part, size=8192):
                    numbers = [[str(n) if n else "" for n in row] for row in counts_of(chunk.dense).tolist()]
                    names = [category_text(k, chunk.sparse[:, k]) for k in range(len(CATEGORIES))]
                    for label, row, words in zip(chunk.labels.tolist(), numbers, zip(*names, strict=True), strict=True):
                        file.write("\t".join([str(label), *row, *words]) + "\n")
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def write_movielens(log: GeneratedLog, folder: Path, form: Literal["100k", "1m"]) -> None:
    """Write all parts of a log of `movielens_shape`, in order and 10 s apart, as the files of MovieLens 100k or 1M.

    A click is a rating of 4 or 5. A user's attributes and a film's genres follow from their numbers.
    """
    ratings: list[tuple[int, int, int, int]] = []
    for part in PARTS:
        ratings += _ratings(log, part, len(ratings))
    users, films = (sorted({rating[k] for rating in ratings}) for k in (0, 1))
    if form == "100k":
        flags = {film: "|".join(str(int(k == film % 19)) for k in range(19)) for film in films}
        files = {
            "u.data": "".join(f"{u}\t{f}\t{r}\t{t}\n" for u, f, r, t in ratings),
            "u.user": "".join(f"{u}|{18 + u % 50}|{'MF'[u % 2]}|work{u % 21}|{10_000 + u % 500}\n" for u in users),
            "u.item": "".join(f"{f}|Film {f} (1995)|01-Jan-1995||http://film/{f}|{flags[f]}\n" for f in films),
        }
    else:
        files = {
            "ratings.dat": "".join(f"{u}::{f}::{r}::{t}\n" for u, f, r, t in ratings),
            "users.dat": "".join(f"{u}::{'MF'[u % 2]}::{18 + u % 50}::{u % 21}::{10_000 + u % 500}\n" for u in users),
            "movies.dat": "".join(f"{f}::Film {f} (1995)::{GENRES[f % 18]}\n" for f in films),
        }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_file(folder / name, text)


def _ratings(log: GeneratedLog, part: Part, before: int) -> list[tuple[int, int, int, int]]:
    who = log.who(part)
    labels = np.concatenate([chunk.labels for chunk in log.chunks(part)]).astype(np.int64)
    words = draw(stream(0, 0x57A5), who.numbers)
    stars = np.where(
        labels == 1, 4 + (words & np.uint64(1)).astype(np.int64), 1 + (words % np.uint64(3)).astype(np.int64)
    )
    times = FIRST_SECOND + 10 * (before + np.arange(len(labels)))
    columns = (who.users + 1, who.items + 1, stars, times)
    return list(zip(*(column.tolist() for column in columns), strict=True))

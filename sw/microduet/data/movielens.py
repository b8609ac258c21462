"""MovieLens 100k and 1M: ratings in order of time, of which 4 and 5 count as clicks."""

import itertools
from pathlib import Path

import numpy as np

from microduet.data.files import content_key, need_file, need_rows
from microduet.data.movielens_files import FORMATS, Format, Line, genres_of, year_of
from microduet.data.schema import PARTS, Column, DenseColumn
from microduet.data.store import Array, Piece, stored
from microduet.data.stored_log import StoredLog
from microduet.data.users import HISTORY, Events, Ints, past, pick, ready, ready_log, sizes
from microduet.errors import DataError
from microduet.progress import Steps

LIKED = 4
"""A rating from here on is a click; histories hold the films with such ratings."""

GENRES = 6
"""Genres of a film that are kept; no film of these sets has more."""

_VERSION = 3
_DECADES = 16


def open_log(
    folder: Path | str,
    *,
    rows: int | None = None,
    history: int = HISTORY,
    skip_bad: bool = False,
    progress: Steps | None = None,
) -> StoredLog:
    """The log in `folder`, which has the files of MovieLens 100k (u.data, u.user, u.item) or 1M (*.dat).

    Ratings are put in order of time, equal times in the file's; the first 80 % train, a tenth validates, the last
    tenth is the test part. A history is what the user liked strictly before.

    Parameters
    ----------
    rows : of every table, ids are then taken modulo `rows`; None keeps the files' order of users and films
    history : films in a history
    skip_bad : leave out lines that are not of the format, and count them; otherwise the first one is an error
    progress : called when the files are parsed for the first time

    Raises
    ------
    DataError
        If a file is missing or empty, a line is bad, or a rating is of a user or film that no file describes.
    """
    folder = Path(folder)
    need_rows(rows)
    need_rows(history)
    form = next((form for form in FORMATS if (folder / form.ratings.name).exists()), None)
    if form is None:
        raise DataError(f"{folder}: has neither {' nor '.join(form.ratings.name for form in FORMATS)}")
    paths = [need_file(folder, file.name) for file in (form.ratings, form.users, form.films)]
    key = content_key(paths, "movielens", _VERSION, history, skip_bad)
    store = stored("movielens", key, lambda _: _parse(form, folder, history, skip_bad), pieces=1, progress=progress)
    return ready_log("movielens", store, _columns(history), _DENSE, rows=rows)


_DENSE = (
    DenseColumn(name="age", role="static"),
    DenseColumn(name="ratings-so-far", role="context"),
    DenseColumn(name="hours-since-last", role="context"),
)


def _columns(history: int) -> tuple[Column, ...]:
    static = [Column(name=name, rows=1, side="user", role="static") for name in ("user", "gender", "occupation", "zip")]
    context = [Column(name=name, rows=1, side="user", role="context") for name in ("hour", "weekday")]
    return (
        *static,
        *context,
        Column(name="liked", rows=1, lookups=history, side="user", role="history", table="film"),
        Column(name="film", rows=1, side="item", role="item", table="film"),
        Column(name="genres", rows=1, lookups=GENRES, side="item", role="item"),
        Column(name="decade", rows=1, side="item", role="item"),
    )


def _parse(form: Format, folder: Path, history: int, skip_bad: bool) -> Piece:
    ratings, bad_ratings = form.ratings.read(folder, skip_bad=skip_bad)
    people, bad_people = form.users.read(folder, skip_bad=skip_bad)
    films, bad_films = form.films.read(folder, skip_bad=skip_bad)
    ratings, unknown = _known(ratings, {"user": people, "film": films}, folder / form.ratings.name, skip_bad)
    users, items = _places(ratings, people, "user"), _places(ratings, films, "film")
    times = np.array([int(line["time"]) for line in ratings], np.int64)
    stars = np.array([int(line["rating"]) for line in ratings], np.int64)
    order = np.argsort(times, kind="stable")
    users, items, times, liked = users[order], items[order], times[order], stars[order] >= LIKED
    person, counts = _people(people)
    film, kinds = _films(films)
    seen = past(Events(users, times), Events(users, times), 1)[:, 0]
    waited = np.where(seen < 0, 0, times - times[np.maximum(seen, 0)]) / 3600
    recent = past(Events(users[liked], times[liked]), Events(users, times), history)
    columns = ready(
        liked,
        [users, *(column[users] for column in person[1:]), times // 3600 % 24, (times // 86_400 + 4) % 7,
         pick(items[liked], recent), items, film[0][items], film[1][items]],
        [person[0][users] / 50, np.log1p(_so_far(users)), np.log1p(waited)],
    )  # fmt: skip
    limits = sizes(len(people), *counts, 24, 7, len(films), len(films), kinds, _DECADES)
    cut = [0, len(order) * 8 // 10, len(order) * 9 // 10, len(order)]
    parts = {
        part: {name: values[low:high] for name, values in columns.items()}
        for part, (low, high) in zip(PARTS, itertools.pairwise(cut), strict=True)
    }
    return Piece(streams={**parts, "sizes": limits}, bad=bad_ratings + bad_people + bad_films + unknown)


def _known(ratings: list[Line], described: dict[str, list[Line]], file: Path, skip_bad: bool) -> tuple[list[Line], int]:
    """Ratings of users and films that are described, and how many others were skipped."""
    known = {name: {line[name] for line in lines} for name, lines in described.items()}
    good = [line for line in ratings if all(line[name] in own for name, own in known.items())]
    if len(good) < len(ratings) and not skip_bad:
        line = next(line for line in ratings if not all(line[name] in own for name, own in known.items()))
        name = next(name for name, own in known.items() if line[name] not in own)
        raise DataError(f"{file}:{line['line']}: is of {name} {line[name]}, which no file describes; "
                        f"{len(ratings) - len(good)} such lines")  # fmt: skip
    return good, len(ratings) - len(good)


def _places(ratings: list[Line], described: list[Line], name: str) -> Ints:
    """Places of the ratings' users or films in the file that describes them."""
    known = {line[name]: place for place, line in enumerate(described)}
    return np.array([known[line[name]] for line in ratings], np.int64)


def _people(people: list[Line]) -> tuple[list[Array], list[int]]:
    """Age, gender, occupation and zip of every user, and how many different ones of the last three there are."""
    columns, counts = [np.array([float(line["age"]) for line in people])], [2]
    columns.append(np.array([int(line["gender"] == "F") for line in people]))
    for name in ("occupation", "zip"):
        values, places = np.unique([line[name] for line in people], return_inverse=True)
        columns.append(places)
        counts.append(len(values))
    return columns, counts


def _films(films: list[Line]) -> tuple[tuple[Array, Array], int]:
    """Genres (films, GENRES) and decade of every film, and how many genre ids there are.

    Places behind a film's last genre have an id of their own: an engine looks all of an item's places up.
    """
    names = sorted({name for film in films for name in genres_of(film)})
    numbers = {name: number for number, name in enumerate(names)}
    genres = np.full((len(films), GENRES), len(names))
    for place, film in enumerate(films):
        own = [numbers[name] for name in genres_of(film)][:GENRES]
        genres[place, : len(own)] = own
    decades = np.array([min(max((year_of(film) - 1880) // 10, 0), _DECADES - 1) for film in films])
    return (genres, decades), len(names) + 1


def _so_far(users: Ints) -> Ints:
    """How many rows before each one are of the same user."""
    order = np.argsort(users, kind="stable")
    ordered = users[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    lengths = np.diff(np.append(starts, len(users)))
    counts = np.empty(len(users), np.int64)
    counts[order] = np.arange(len(users)) - np.repeat(starts, lengths)
    return counts

"""Amazon's reviews of 2014 as DIN takes them: a reviewed item is a click, another one at the same moment is none."""

import dataclasses
import functools
import gzip
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.data.amazon_lines import Fields, item_fields, review_fields
from microduet.data.draws import draw, stream, uniforms
from microduet.data.files import BadLines, content_key, need_rows
from microduet.data.ids import text_value
from microduet.data.schema import PARTS, Column
from microduet.data.store import Array, Piece, Store, stored
from microduet.data.stored_log import StoredLog
from microduet.data.users import HISTORY, Events, Ints, past, pick, ready, ready_log, sizes
from microduet.errors import DataError
from microduet.progress import Steps

LINES = 50_000
"""Lines that are parsed, and kept, at a time."""

USERS = 20_000
"""Users whose rows are made at a time."""

_VERSION = 3


def open_log(
    folder: Path | str,
    *,
    rows: int | None = None,
    history: int = HISTORY,
    skip_bad: bool = False,
    seed: int = 0,
    progress: Steps | None = None,
    lines: int = LINES,
) -> StoredLog:
    """The log in `folder`: one reviews_*.json.gz and its meta_*.json.gz, a Python or JSON dictionary per line.

    As DIN prepares them: of each user's reviews in order of time, all but the first are clicks that follow the earlier
    ones, each with an item that the user never reviewed, drawn with the frequency of reviews, as no click. The last
    review of a user is the test part, the one before validates, earlier ones train. An item's category is the last
    name of the last path in its `categories`; items without one share a category.

    Parameters
    ----------
    rows : of every table, ids are then taken modulo `rows`; None numbers users, items and categories
    history : items in a history
    skip_bad : leave out lines that are not of the format, and count them; otherwise the first one is an error
    seed : of the items that were not clicked
    progress : called while the files are parsed for the first time
    lines : that are parsed at a time

    Raises
    ------
    DataError
        If a file is missing, empty or not gzip, or a line is bad.
    """
    folder = Path(folder)
    need_rows(rows)
    need_rows(history)
    reviews, meta = (_one(folder, kind) for kind in ("reviews", "meta"))
    key = content_key([reviews, meta], "amazon", _VERSION, skip_bad, lines)

    def parsed(name: str, path: Path, columns: tuple[str, ...], fields: Fields) -> Store:
        reader = _Blocks(path, lines, skip_bad, columns, fields)
        return stored(f"amazon-{name}", key, reader, progress=progress)

    @functools.cache
    def numbered() -> _Reviews:
        items = parsed("meta", meta, ("item", "category"), item_fields)
        return _numbered(parsed("reviews", reviews, ("user", "item", "time"), review_fields), items)

    def make(number: int) -> Piece | None:
        return _pairs(numbered(), number, history, seed)

    store = stored("amazon", f"{key}-{history}-{seed}", make, progress=progress)
    return ready_log("amazon", store, _columns(history), (), rows=rows)


def _columns(history: int) -> tuple[Column, ...]:
    def past_column(name: str, table: str) -> Column:
        return Column(name=name, rows=1, lookups=history, side="user", role="history", table=table)

    return (
        Column(name="user", rows=1, side="user", role="static"),
        past_column("past-items", "item"),
        past_column("past-categories", "category"),
        Column(name="item", rows=1, side="item", role="item", table="item"),
        Column(name="category", rows=1, side="item", role="item", table="category"),
    )


def _one(folder: Path, kind: str) -> Path:
    found = sorted([*folder.glob(f"{kind}_*.json.gz"), *folder.glob(f"{kind}_*.json")])
    if len(found) != 1:
        raise DataError(f"{folder}: has {len(found)} files {kind}_*.json.gz, not 1")
    return found[0]


class _Blocks:
    """Makes pieces of a compressed file, which can only be read from its beginning."""

    def __init__(self, path: Path, lines: int, skip_bad: bool, columns: tuple[str, ...], fields: Fields) -> None:
        self._path, self._lines, self._columns, self._fields = path, lines, columns, fields
        self._bad = BadLines(path, skip_bad)
        self._source: Iterator[bytes] | None = None
        self._next = 0

    def __call__(self, number: int) -> Piece | None:
        try:
            block = self._block(number)
        except (EOFError, zlib.error, OSError) as error:
            raise DataError(f"{self._path}: is not whole gzip ({error})") from error
        if not block:
            return None
        found: list[tuple[int, ...]] = []

        def fault(line: bytes) -> str | None:
            try:
                found.append(self._fields(line))
            except KeyError as error:
                return f"has no {error.args[0]}"
            except ValueError as error:
                return str(error) or "must be a dictionary"
            return None

        good = self._bad.keep_good(block, lambda: number * self._lines + 1, fault)
        values = np.array(found, np.int64).reshape(-1, len(self._columns))
        lines = {name: values[:, place] for place, name in enumerate(self._columns)}
        return Piece(streams={"lines": lines}, bad=len(block) - len(good))

    def _read(self) -> Iterator[bytes]:
        with gzip.open(self._path) if self._path.suffix == ".gz" else self._path.open("rb") as file:
            yield from file

    def _block(self, number: int) -> list[bytes]:
        if self._source is None:
            self._source = self._read()
        skipped = (number - self._next) * self._lines
        next(itertools.islice(self._source, skipped, skipped), None)
        self._next = number + 1
        return [line.rstrip(b"\r\n") for line in itertools.islice(self._source, self._lines)]


def _column(store: Store, name: str) -> Ints:
    found, place = np.empty(store.rows("lines"), np.int64), 0
    for piece in store.read("lines", first=0, count=len(found), names=[name]):
        found[place : place + len(piece[name])] = piece[name]
        place += len(piece[name])
    return found


def _numbers(values: Ints) -> tuple[Ints, npt.NDArray[np.int32]]:
    """The different values, and each value's place among them."""
    different, places = np.unique(values), np.empty(len(values), np.int32)
    for first in range(0, len(values), LINES):  # an inverse of `unique` takes three times the memory of the values
        block = slice(first, first + LINES)
        places[block] = np.searchsorted(different, values[block])
    return different, places


@dataclasses.dataclass(frozen=True)
class _Reviews:
    """Users, items and times of all reviews, 16 bytes each, the category of every item, and bad lines."""

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    times: Ints
    category: Ints
    counts: tuple[int, int, int]
    bad: int


def _numbered(reviews: Store, meta: Store) -> _Reviews:
    people, users = _numbers(_column(reviews, "user"))
    names, items = _numbers(_column(reviews, "item"))
    described, first = np.unique(_column(meta, "item"), return_index=True)
    values = _column(meta, "category")[first]
    of_item = np.full(len(names), text_value(""))
    known = np.isin(names, described, assume_unique=True)
    of_item[known] = values[np.searchsorted(described, names[known])]
    kinds, category = np.unique(of_item, return_inverse=True)
    counts = (len(people), len(names), len(kinds))
    return _Reviews(users, items, _column(reviews, "time"), category, counts, reviews.bad + meta.bad)


def _pairs(every: _Reviews, number: int, history: int, seed: int) -> Piece | None:
    """Rows of users number * USERS and on, in the order of their reviews; each click, then what was not clicked."""
    users, items, category = every.users, every.items, every.category
    count, goods, kinds = every.counts
    if number * USERS >= count:
        return None
    mine = np.flatnonzero((users >= number * USERS) & (users < (number + 1) * USERS))
    mine = mine[np.lexsort((every.times[mine], users[mine]))]
    user, item = users[mine].astype(np.int64), items[mine]
    place = _places(user)
    left = np.bincount(user, minlength=count)[user] - 1 - place
    others = _others(user, item, items, seed, number)
    rows = np.flatnonzero((place > 0) & (others >= 0))
    before = past(Events(user, place), Events(user[rows], place[rows]), history)
    twice, chosen = np.repeat(rows, 2), np.stack([item[rows], others[rows]], 1).reshape(-1)
    recent = pick(item, before)
    histories = [np.repeat(values, 2, axis=0) for values in (recent, pick(category, recent))]
    found = ready(np.tile([1, 0], len(rows)), [user[twice], *histories, chosen, category[chosen]])
    which = np.where(left[twice] == 0, 2, np.where(left[twice] == 1, 1, 0))
    parts = {part: {name: v[which == k] for name, v in found.items()} for k, part in enumerate(PARTS)}
    limits = sizes(count, goods, kinds, goods, kinds)
    return Piece(streams={**parts, "sizes": limits}, bad=every.bad * (number == 0))


def _places(user: Array) -> Ints:
    """Each row's place among those of its user, which stand together."""
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    return np.arange(len(user)) - np.repeat(starts, np.diff(np.append(starts, len(user))))


def _others(user: Array, item: Array, items: Array, seed: int, number: int) -> Ints:
    """An item that each row's user never reviewed, drawn from all reviews; -1 if 64 draws find none."""
    width = int(items.max(initial=0)) + 1
    owned = np.unique(user.astype(np.int64) * width + item)
    found = np.full(len(user), -1)
    for attempt in range(64):
        open_rows = np.flatnonzero(found < 0)
        if not len(open_rows):
            break
        words = draw(stream(seed, 0xA3A2, number, attempt), open_rows)
        drawn = items[(uniforms(words) * len(items)).astype(np.int64)]
        keys = user[open_rows].astype(np.int64) * width + drawn
        fresh = owned[np.minimum(np.searchsorted(owned, keys), len(owned) - 1)] != keys
        found[open_rows[fresh]] = drawn[fresh]
    return found

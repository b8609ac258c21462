"""Taobao's ad display and click log, with users' profiles and what they looked at before."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from microduet.data.files import BLOCK_BYTES, block_count, content_key, need_file, need_rows
from microduet.data.ids import text_value
from microduet.data.schema import PARTS, Column
from microduet.data.store import Array, Columns, Piece, Store, stored
from microduet.data.stored_log import StoredLog
from microduet.data.taobao_files import ADS, BEHAVIOUR, FILES, PROFILE, SAMPLES, USERS, TaobaoFile
from microduet.data.users import HISTORY, Events, Ints, past, pick, ready, ready_log, sizes
from microduet.progress import Steps

BUCKET_BYTES = 1 << 30
"""Text per bucket of users; the rows of one bucket are in memory at a time."""

BEIJING = 8 * 3600
"""Seconds from UTC to the days and hours of the log."""

PRICES = 64

_VERSION = 2
_ADS = ("cate_id", "campaign_id", "customer", "brand")


def open_log(
    folder: Path | str,
    *,
    rows: int | None = None,
    history: int = HISTORY,
    skip_bad: bool = False,
    progress: Steps | None = None,
    block: int = 8 * BLOCK_BYTES,
    bucket: int = BUCKET_BYTES,
) -> StoredLog:
    """The log in `folder`: raw_sample.csv, ad_feature.csv, user_profile.csv and behavior_log.csv.

    All days but the last train; the last one validates until noon and is the test part from then on. Rows come in
    buckets of users, in each of them in order of time. Histories are the categories and brands of what the user did
    strictly before. A value is the id one above it; 0 stands for what is empty, NULL or described nowhere.

    Parameters
    ----------
    rows : of every table, ids are then taken modulo `rows`
    history : events in a history
    skip_bad : leave out lines that are not of the format, and count them; otherwise the first one is an error
    progress : called while the files are parsed for the first time
    block, bucket : bytes of text that are parsed at a time, and whose rows are joined at a time

    Raises
    ------
    DataError
        If a file or one of its columns is missing, a file is empty, or a line is bad.
    """
    folder = Path(folder)
    need_rows(rows)
    need_rows(history)
    paths = [need_file(folder, file.name) for file in FILES]
    for file in FILES:
        file.header(folder)
    buckets = max(1, -(-sum(path.stat().st_size for path in paths) // bucket))
    key = content_key(paths, "taobao", _VERSION, skip_bad, block, buckets)
    work = [(file, number) for file in (SAMPLES, BEHAVIOUR) for number in range(block_count(folder / file.name, block))]

    def divide(number: int) -> Piece:
        file, place = work[number]
        columns, bad = file.block(folder, place, block, skip_bad=skip_bad)
        return Piece(streams=_buckets(file, columns, buckets), bad=bad)

    def join(number: int) -> Piece:
        divided = stored("taobao-lines", key, divide, pieces=len(work), progress=progress)
        described = _described(folder, key, block, skip_bad)
        bad = divided.bad + described[2] if number == 0 else 0
        return _joined(divided, number, described[:2], history, bad)

    store = stored("taobao", f"{key}-{history}", join, pieces=buckets, progress=progress)
    return ready_log("taobao", store, _columns(history), (), rows=rows)


def _columns(history: int) -> tuple[Column, ...]:
    def past_column(name: str, table: str) -> Column:
        return Column(name=name, rows=1, lookups=history, side="user", role="history", table=table)

    return (
        *(Column(name=name, rows=1, side="user", role="static") for name in ("user", *PROFILE)),
        *(Column(name=name, rows=1, side="user", role="context") for name in ("pid", "hour")),
        past_column("past-categories", "category"),
        past_column("past-brands", "brand"),
        Column(name="ad", rows=1, side="item", role="item"),
        Column(name="category", rows=1, side="item", role="item", table="category"),
        Column(name="campaign", rows=1, side="item", role="item"),
        Column(name="customer", rows=1, side="item", role="item"),
        Column(name="brand", rows=1, side="item", role="item", table="brand"),
        Column(name="price", rows=1, side="item", role="item"),
    )


def _buckets(file: TaobaoFile, columns: Columns, buckets: int) -> dict[str, Columns]:
    """Lines of a block by bucket of users; of samples also the page positions, and when the last one was shown."""
    bucket = columns["user"] % buckets
    kind = file.name.removesuffix(".csv")
    found = dict(columns)
    streams: dict[str, Columns] = {}
    if "pid" in found:
        words, places = np.unique(found["pid"].astype(str), return_inverse=True)
        values = np.array([text_value(word) for word in words.tolist()], np.int64)
        found["pid"] = values[places] if len(values) else np.zeros(0, np.int64)
        streams["pids"] = {"pid": values}
        streams["last"] = {"time": found["time_stamp"].max(keepdims=True, initial=0)}
    for number in range(buckets):
        streams[f"{kind}-{number}"] = {name: values[bucket == number] for name, values in found.items()}
    return streams


Table = tuple[Ints, Mapping[str, Array]]
"""Sorted keys, and the columns of their lines."""


@functools.lru_cache(maxsize=1)
def _described(folder: Path, _key: str, block: int, skip_bad: bool) -> tuple[Table, Table, int]:
    """Ads and users, and how many bad lines their files have; read once for all buckets of one content."""
    tables: list[Table] = []
    lost = 0
    for file, key in ((ADS, "adgroup_id"), (USERS, "userid")):
        numbers = range(block_count(folder / file.name, block))
        blocks = [file.block(folder, number, block, skip_bad=skip_bad) for number in numbers]
        columns = {name: np.concatenate([read[name] for read, _ in blocks]) for name in file.columns}
        keys, first = np.unique(columns[key], return_index=True)
        tables.append((keys, {name: values[first] for name, values in columns.items()}))
        lost += sum(bad for _, bad in blocks)
    return tables[0], tables[1], lost


def _looked_up(table: Table, keys: Ints, name: str) -> Array:
    """Values of column `name` of the lines with `keys`; -1 where there is none."""
    known, columns = table
    if not len(known):
        return np.full(len(keys), -1)
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[places] == keys, columns[name][places], -1)


def _stream(store: Store, name: str) -> Columns:
    pieces = list(store.read(name, first=0, count=store.rows(name)))
    return {column: np.concatenate([piece[column] for piece in pieces]) for column in (pieces[0] if pieces else ())}


def _joined(divided: Store, bucket: int, described: tuple[Table, Table], history: int, bad: int) -> Piece:
    """Rows of a bucket, in order of time, in their parts."""
    ads, users = described
    samples, events = _stream(divided, f"raw_sample-{bucket}"), _stream(divided, f"behavior_log-{bucket}")
    if not samples:
        return Piece(streams={}, bad=bad)
    order = np.argsort(samples["time_stamp"], kind="stable")
    user, time, ad, pid, clicks = (samples[name][order] for name in SAMPLES.columns)
    done = Events(events["user"], events["time_stamp"]) if events else Events(user[:0], time[:0])
    places = past(done, Events(user, time), history)
    position = np.searchsorted(np.unique(_stream(divided, "pids")["pid"]), pid)
    price = _looked_up(ads, ad, "price")
    level = np.where(price < 0, -1, np.minimum(2 * np.log2(1 + np.maximum(price, 0)), PRICES - 2)).astype(np.int64)
    categories, brands = (pick(events[name] + 1, places) if events else places for name in ("cate", "brand"))
    columns = [
        user + 1, *(_looked_up(users, user, name) + 1 for name in PROFILE), position, (time + BEIJING) // 3600 % 24,
        categories, brands, ad + 1, *(_looked_up(ads, ad, name) + 1 for name in _ADS), level + 1,
    ]  # fmt: skip
    found = ready(clicks, columns)
    day = (time + BEIJING) // 86_400
    last = (_stream(divided, "last")["time"].max() + BEIJING) // 86_400
    noon = (time + BEIJING) % 86_400 >= 43_200
    chosen = dict(zip(PARTS, (day < last, (day == last) & ~noon, (day == last) & noon), strict=True))
    parts = {part: {name: values[rows] for name, values in found.items()} for part, rows in chosen.items()}
    limits = sizes(*(int(column.max(initial=0)) + 1 for column in columns))
    return Piece(streams={**parts, "sizes": limits}, bad=bad)

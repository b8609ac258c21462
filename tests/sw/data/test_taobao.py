"""Taobao's four files: their quirks, the split by days, histories without the future, buckets, and bad lines."""

from pathlib import Path

import numpy as np
import pytest

from microduet.data import taobao
from microduet.data.schema import PARTS
from microduet.errors import DataError
from tests.sw.data.logs import whole

DAY = 86_400
START = 1_494_000_000 // DAY * DAY - 8 * 3600
"""Midnight in Beijing."""

FILES = {
    "raw_sample.csv": [
        "user,time_stamp,adgroup_id,pid,nonclk,clk",
        f"1,{START + 3600},10,430548_1007,1,0",
        f"2,{START + 100},11,430539_1007,0,1",
        f"1,{START + DAY + 5},11,430548_1007,0,1",
        f"2,{START + DAY + 50_000},12,430548_1007,1,0",
        f"9,{START + 200},99,430548_1007,1,0",
    ],
    "ad_feature.csv": [
        "adgroup_id,cate_id,campaign_id,customer,brand,price",
        "10,5,100,200,NULL,170.0",
        "11,6,101,201,33,3",
        "12,6,102,201,34,99999999.0",
    ],
    "user_profile.csv": [
        "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
        "new_user_class_level ",
        "1,0,5,2,5,,3,0,",
        "2,7,2,1,3,1,3,1,4",
    ],
    "behavior_log.csv": [
        "user,time_stamp,btag,cate,brand",
        f"1,{START + 3000},pv,5,50",
        f"1,{START + 3600},buy,6,60",
        f"1,{START + 10},fav,7,70",
        f"2,{START + DAY},cart,8,80",
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, lines in FILES.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path


def named(log, part: str, name: str) -> list[list[int]]:
    return whole(log, part).sparse[:, log.schema.columns(name)].tolist()


def test_the_last_day_is_not_trained_on_and_noon_divides_it(folder: Path) -> None:
    log = taobao.open_log(folder)
    assert [log.rows(part) for part in PARTS] == [3, 1, 1]
    assert named(log, "train", "user") == [[3], [10], [2]]
    assert whole(log).labels.tolist() == [1, 0, 0]
    assert (named(log, "validation", "ad"), named(log, "test", "ad")) == ([[12]], [[13]])
    assert named(log, "test", "hour") == [[50_000 // 3600]]


def test_histories_are_what_the_user_did_strictly_before_newest_first(folder: Path) -> None:
    log = taobao.open_log(folder, history=4)
    none = [-1] * 4
    assert named(log, "train", "past-categories") == [none, none, [6, 8, -1, -1]]
    assert named(log, "train", "past-brands") == [none, none, [51, 71, -1, -1]]
    assert named(log, "validation", "past-brands") == [[61, 51, 71, -1]]
    assert named(log, "test", "past-brands") == [[81, -1, -1, -1]]


def test_what_is_empty_null_or_unknown_is_id_0(folder: Path) -> None:
    log = taobao.open_log(folder)
    assert named(log, "train", "pvalue_level") == [[2], [0], [0]]
    assert named(log, "train", "new_user_class_level") == [[5], [0], [0]]
    assert named(log, "train", "cms_segid") == [[8], [0], [1]]
    assert named(log, "train", "brand") == [[34], [0], [0]]
    assert named(log, "train", "category") == [[7], [0], [6]]
    assert named(log, "train", "price") == [[5], [0], [15]]
    assert named(log, "test", "price") == [[int(2 * np.log2(1e8)) + 1]]


def test_sides_roles_and_shared_tables(folder: Path) -> None:
    log = taobao.open_log(folder)
    roles = {column.name: (column.side, column.role) for column in log.schema.sparse}
    assert roles["user"] == roles["occupation"] == ("user", "static")
    assert roles["pid"] == roles["hour"] == ("user", "context")
    assert roles["past-brands"] == ("user", "history")
    assert roles["ad"] == roles["price"] == ("item", "item")
    rows = {column.name: column.rows for column in log.schema.sparse}
    assert rows["past-brands"] == rows["brand"] == 82
    for part in PARTS:
        ids = whole(log, part).sparse
        assert (ids < [column.rows for column in log.schema.sparse for _ in range(column.lookups)]).all()


@pytest.mark.parametrize(("block", "bucket"), [(60, 1 << 20), (1 << 20, 200), (100, 150)])
def test_neither_blocks_nor_buckets_change_the_rows(folder: Path, block: int, bucket: int) -> None:
    plain, cut = taobao.open_log(folder), taobao.open_log(folder, block=block, bucket=bucket)
    for part in PARTS:
        both = [whole(log, part) for log in (plain, cut)]
        rows = [sorted(np.column_stack([chunk.labels, chunk.sparse]).tolist()) for chunk in both]
        assert rows[0] == rows[1]


def test_hashed_ids(folder: Path) -> None:
    ids = whole(taobao.open_log(folder, rows=3, history=2)).sparse
    assert (ids.min(), ids.max()) == (-1, 2)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("raw_sample.csv", "1,2,3", "raw_sample.csv:7: 3 fields between commas, not 6"),
        ("raw_sample.csv", "1,5,10,x,1,2", "raw_sample.csv:7: clk must be 0 or 1, not '2'"),
        ("raw_sample.csv", ",5,10,x,1,0", "raw_sample.csv:7: user must be a whole number, not ''"),
        ("raw_sample.csv", "1,5,10,,1,0", "raw_sample.csv:7: pid must not be empty"),
        ("ad_feature.csv", "13,NULL,1,1,1,1", "ad_feature.csv:5: cate_id must be a whole number, not 'NULL'"),
        ("ad_feature.csv", "13,1,1,1,1,cheap", "ad_feature.csv:5: price must be a number, not 'cheap'"),
        ("user_profile.csv", "3,-1,1,1,1,1,1,1,1", "user_profile.csv:4: cms_segid must be a whole number, not '-1'"),
        ("behavior_log.csv", "", "behavior_log.csv:6: 1 fields between commas, not 5"),
    ],
)
def test_a_bad_line_is_named_and_skipped_only_when_asked(folder: Path, name: str, line: str, message: str) -> None:
    with (folder / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message):
        taobao.open_log(folder, block=70)
    log = taobao.open_log(folder, block=70, skip_bad=True)
    assert (log.skipped, log.rows("train")) == (1, 3)


def test_a_missing_column_or_file_is_named(folder: Path) -> None:
    (folder / "ad_feature.csv").write_text("adgroup_id,cate_id,campaign_id,customer,price\n1,1,1,1,1\n")
    with pytest.raises(DataError, match=r"ad_feature.csv:1: has no column brand; there are adgroup_id, cate_id"):
        taobao.open_log(folder)
    (folder / "behavior_log.csv").unlink()
    with pytest.raises(DataError, match=r"has no behavior_log.csv"):
        taobao.open_log(folder)

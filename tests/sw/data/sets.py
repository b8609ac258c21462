"""Small sets of the four formats, of files as people have them, with labels of both kinds in every part."""

import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from microduet.data.generated import GeneratedLog
from microduet.data.write import criteo_shape, movielens_shape, write_criteo, write_movielens

USERS, ADS = 40, 60
DAY = 86_400
MIDNIGHT = 1_494_000_000 // DAY * DAY - 8 * 3600
"""Of the first day, in Beijing."""


@dataclasses.dataclass(frozen=True)
class FileSet:
    """A format.

    Members
    -------
    write : puts a set's files into a folder
    file : one of them, of a line per event
    bad : a line that it must not have
    fault : what is said of it
    shorter : makes all lines of `file` lack a column
    lack : what is said of that
    """

    kind: str
    write: Callable[[Path], None]
    file: str
    bad: str
    fault: str
    shorter: Callable[[str], str]
    lack: str

    def text(self, folder: Path) -> str:
        """What is in `file`."""
        path = folder / self.file
        return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()

    def rewrite(self, folder: Path, text: str) -> None:
        """Put `text` into `file`."""
        path = folder / self.file
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def _criteo(folder: Path) -> None:
    write_criteo(GeneratedLog(criteo_shape(50), rows=300, validation=1, test=1), folder / "train.txt")


def _movielens(folder: Path) -> None:
    write_movielens(GeneratedLog(movielens_shape(50), rows=300, validation=40, test=40), folder, "1m")


def _taobao(folder: Path) -> None:
    generator = np.random.default_rng(1)
    shown = np.sort(generator.integers(0, 3 * DAY, 400)) + MIDNIGHT
    lines = ["user,time_stamp,adgroup_id,pid,nonclk,clk"]
    for time, click in zip(shown.tolist(), (generator.random(400) < 0.4).tolist(), strict=True):
        user, ad = generator.integers(USERS), generator.integers(ADS)
        lines.append(f"{user},{time},{ad},430548_{user % 2},{int(not click)},{int(click)}")
    seen = [f"{k % USERS},{MIDNIGHT + 500 * k},pv,{k % 7},{k % 11}" for k in range(500)]
    files = {
        "raw_sample.csv": lines,
        "ad_feature.csv": ["adgroup_id,cate_id,campaign_id,customer,brand,price"]
        + [f"{k},{k % 7},{k % 9},{k % 5},{k % 11},{k}.5" for k in range(ADS)],
        "user_profile.csv": [
            "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
            "new_user_class_level ",
            *(f"{k},{k % 4},{k % 3},{1 + k % 2},{k % 6},,3,0,2" for k in range(USERS)),
        ],
        "behavior_log.csv": ["user,time_stamp,btag,cate,brand", *seen],
    }
    for name, text in files.items():
        (folder / name).write_text("\n".join(text) + "\n")


def _amazon(folder: Path) -> None:
    generator = np.random.default_rng(2)
    reviews = [
        {"reviewerID": f"U{user}", "asin": f"I{item}", "overall": 5.0, "unixReviewTime": int(time)}
        for user in range(USERS)
        for time, item in enumerate(generator.choice(ADS, generator.integers(4, 9), replace=False))
    ]
    meta = [{"asin": f"I{item}", "categories": [["All", f"K{item % 5}"]]} for item in range(ADS)]
    for name, lines in (("reviews_Toys_5.json.gz", reviews), ("meta_Toys.json.gz", meta)):
        (folder / name).write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


SETS = (
    FileSet(
        kind="criteo",
        write=_criteo,
        file="train.txt",
        bad="2" + "\t" * 39,
        fault="the label must be 0 or 1, not '2'",
        shorter=lambda text: text.replace("\t", "", 1),
        lack="39 fields between tabs, not 40",
    ),
    FileSet(
        kind="movielens",
        write=_movielens,
        file="ratings.dat",
        bad="1::1::9::960000000",
        fault="must be user::film::rating 1 to 5::time",
        shorter=lambda text: text.rpartition("::")[0],
        lack="must be user::film::rating 1 to 5::time",
    ),
    FileSet(
        kind="taobao",
        write=_taobao,
        file="raw_sample.csv",
        bad="1,2,3",
        fault="3 fields between commas, not 6",
        shorter=lambda text: text.rpartition(",")[0],
        lack="has no column clk",
    ),
    FileSet(
        kind="amazon",
        write=_amazon,
        file="reviews_Toys_5.json.gz",
        bad="{'asin': 'x'}",
        fault="has no unixReviewTime",
        shorter=lambda text: text.replace("'asin'", "'item'"),
        lack="has no asin",
    ),
)

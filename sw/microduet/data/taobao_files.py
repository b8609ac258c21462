"""The comma-separated files of Taobao's ad display set, each with a header."""

import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from microduet.data.files import BadLines, lines_before, read_block, split_lines
from microduet.data.store import Columns
from microduet.errors import DataError

EMPTY = -1
"""Stands for an empty field, and for NULL."""

_REAL = re.compile(r"[0-9]{1,12}(\.[0-9]*)?")


@dataclasses.dataclass(frozen=True)
class TaobaoFile:
    """A file of the set.

    Members
    -------
    columns : names of the header that are read; one may end in a space there
    text, real, flags : those that are words, numbers with a point, and 0 or 1; the others are whole numbers
    optional : those that may be empty or NULL
    """

    name: str
    columns: tuple[str, ...]
    text: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def header(self, folder: Path) -> list[str]:
        """Names of the file's columns without spaces at their ends; raises DataError if one is missing, or all."""
        with (folder / self.name).open("rb") as file:
            names = [name.strip() for name in file.readline().decode("utf-8-sig", "replace").strip().split(",")]
        if not any(names):
            raise DataError(f"{folder / self.name}: is empty")
        missing = [name for name in self.columns if name not in names]
        if missing:
            raise DataError(f"{folder / self.name}:1: has no column {missing[0]}; there are {', '.join(names)}")
        return names

    def block(self, folder: Path, number: int, size: int, *, skip_bad: bool) -> tuple[Columns, int]:
        """Columns of a block of lines, int64 with EMPTY or words, and how many bad lines were skipped."""
        path, names = folder / self.name, self.header(folder)
        text = read_block(path, number, size)
        if number == 0:
            text = text[text.index(b"\n") + 1 :] if b"\n" in text else b""
        try:
            return self._parse(text, names), 0
        except ValueError:
            lines = split_lines(text)
            first = 1 + lines_before(path, number, size) + (number == 0)
            good = BadLines(path, skip_bad).keep_good(lines, lambda: first, lambda line: self._fault(line, names))
            return self._parse(b"".join(line + b"\n" for line in good), names), len(lines) - len(good)

    def _parse(self, text: bytes, names: list[str]) -> Columns:
        if not text:
            return {name: np.zeros(0, object if name in self.text else np.int64) for name in self.columns}
        types = {name: self._type(name) for name in self.columns}
        table = csv.read_csv(
            io.BytesIO(text),
            read_options=csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=types,
                include_columns=list(self.columns),
                null_values=["", "NULL"],
                strings_can_be_null=True,
            ),
        )
        columns: Columns = {}
        for name in self.columns:
            column = table.column(name)
            if column.null_count and name not in self.optional:
                raise ValueError(f"{name} is empty")
            columns[name] = (column if name in self.text else column.fill_null(EMPTY)).to_numpy()
            if name not in self.text and len(table):
                low, high = columns[name].min(), columns[name].max()
                if low < (EMPTY if name in self.optional else 0) or (name in self.flags and high > 1):
                    raise ValueError(f"{name} is out of its range")
        return columns

    def _type(self, name: str) -> pa.DataType:
        return pa.string() if name in self.text else pa.float64() if name in self.real else pa.int64()

    def _fault(self, line: bytes, names: list[str]) -> str | None:
        fields = line.decode("utf-8", "surrogateescape").split(",")
        if len(fields) != len(names):
            return f"{len(fields)} fields between commas, not {len(names)}"
        for name, field in zip(names, fields, strict=True):
            if name not in self.columns or (name in self.optional and field in ("", "NULL")):
                continue
            if name in self.text:
                if found := _text_fault(field):
                    return f"{name} must {found}"
            elif name in self.real:
                if not _REAL.fullmatch(field):
                    return f"{name} must be a number, not {field!r}"
            elif name in self.flags and field not in ("0", "1"):
                return f"{name} must be 0 or 1, not {field!r}"
            elif not (field.isascii() and field.isdigit() and len(field) <= 18):
                return f"{name} must be a whole number, not {field!r}"
        return None


SAMPLES = TaobaoFile(
    "raw_sample.csv", ("user", "time_stamp", "adgroup_id", "pid", "clk"), text=("pid",), flags=("clk",)
)
ADS = TaobaoFile(
    "ad_feature.csv",
    ("adgroup_id", "cate_id", "campaign_id", "customer", "brand", "price"),
    real=("price",),
    optional=("brand",),
)
PROFILE = (
    "cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level", "occupation",
    "new_user_class_level",
)  # fmt: skip
USERS = TaobaoFile("user_profile.csv", ("userid", *PROFILE), optional=("pvalue_level", "new_user_class_level"))
BEHAVIOUR = TaobaoFile("behavior_log.csv", ("user", "time_stamp", "cate", "brand"), optional=("cate", "brand"))
FILES = (SAMPLES, ADS, USERS, BEHAVIOUR)


def _text_fault(field: str) -> str | None:
    """What is wrong with a word; bytes that are no text stand in it as surrogates."""
    if field in ("", "NULL"):
        return "not be empty"
    return "be text in UTF-8" if any("\ud800" <= letter <= "\udfff" for letter in field) else None

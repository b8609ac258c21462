"""Criteo's parser in C++ and a parser in Python agree on good and on damaged lines."""

import re
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet.data import criteo
from microduet.data.criteo_text import parse
from microduet.data.files import split_lines

NUMBERS = st.one_of(
    st.just(""), st.integers(-3, 2000).map(str), st.integers(-(2**31), 2**31 - 1).map(str), st.just("-0")
)
CATEGORIES = st.one_of(st.just(""), st.from_regex(r"[0-9a-fA-F]{8}", fullmatch=True))
FIELDS = st.tuples(st.sampled_from("01"), *[NUMBERS] * 13, *[CATEGORIES] * 26)
ENDS = st.sampled_from(["\n", "\r\n"])
LINES = st.lists(st.tuples(FIELDS.map("\t".join), ENDS).map("".join), max_size=6).map("".join).map(str.encode)


def plainly(text: bytes) -> Mapping[str, list] | None:
    """Columns of a block as a reader of the format would take them, field by field; None if a line is bad."""
    rows = [line.decode("latin-1").split("\t") for line in split_lines(text)]
    number, category = re.compile(r"-?[0-9]{1,10}|"), re.compile(r"[0-9a-fA-F]{8}|")
    for row in rows:
        numbers, categories = row[1:14], row[14:]
        if len(row) != 40 or row[0] not in ("0", "1") or not all(map(category.fullmatch, categories)):
            return None
        if not all(number.fullmatch(field) and -(2**31) <= int(field or 0) < 2**31 for field in numbers):
            return None
    return {
        "label": [int(row[0]) for row in rows],
        "numbers": [[int(field or 0) for field in row[1:14]] for row in rows],
        "categories": [[int(field or "0", 16) for field in row[14:]] for row in rows],
    }


def agree(text: bytes) -> bool:
    """Whether both parsers find the same; and whether what explains bad lines has the same opinion of them."""
    found, expected = parse(text), plainly(text)
    assert (expected is None) == any(map(criteo.fault, split_lines(text)))
    if found is None or expected is None:
        return found is expected
    assert [found[name].dtype for name in ("label", "numbers", "categories")] == [np.uint8, np.int32, np.uint32]
    return all(found[name].tolist() == values for name, values in expected.items())


@given(LINES)
def test_good_lines(text: bytes) -> None:
    assert plainly(text) is not None
    assert agree(text)
    assert agree(text.removesuffix(b"\n"))


@given(LINES.filter(bool), st.data())
def test_lines_with_a_byte_changed_left_out_or_added(text: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    byte = data.draw(st.one_of(st.sampled_from(b"\t\n\r-0g@G`/:\x00\xb0"), st.integers(0, 255)))
    left_out = data.draw(st.integers(0, 2))
    assert agree(text[:place] + bytes([byte]) * data.draw(st.integers(0, 1)) + text[place + left_out :])


EMPTY = "\t" * 39


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_as_a_digit(byte: int) -> None:
    for place in (0, 3, 7):
        digits = bytearray(b"0000000A")
        digits[place] = byte
        assert agree(b"1" + b"\t" * 14 + bytes(digits) + b"\t" * 25)
        assert agree(b"1" + b"\t" * 39 + bytes(digits))
    assert agree(b"1\t1" + bytes([byte]) + b"\t" * 38 + b"\n")
    assert agree(bytes([byte]) + EMPTY.encode())


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", 0),
        (f"0{EMPTY}", 1),
        (f"0{EMPTY}\r", 1),
        (f"0{EMPTY}\n1{EMPTY}\r\n", 2),
        ("\n", None),
        (f"0{EMPTY}\n\n", None),
        (f"0{EMPTY}\r\r\n", None),
        (f"0{EMPTY}0000000", None),
        (f"0{EMPTY}000000000", None),
        (f"0\t+1{EMPTY[1:]}", None),
        (f"0\t 1{EMPTY[1:]}", None),
        (f"0\t-{EMPTY[1:]}", None),
        (f"0\t00000000001{EMPTY[1:]}", None),
        (f"0\t2147483648{EMPTY[1:]}", None),
        (f"0\t-2147483649{EMPTY[1:]}", None),
        (f"0\t-2147483648{EMPTY[1:]}", 1),
    ],
)
def test_edges(text: str, rows: int | None) -> None:
    found = parse(text.encode())
    assert (None if found is None else len(found["label"])) == rows
    assert agree(text.encode())

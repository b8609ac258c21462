"""The quick reader of plain lines finds what reading them as a whole finds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet.data.amazon_lines import item_fields, literal, review_fields, values_of

ATOMS = st.one_of(st.text(max_size=8), st.integers(-(10**6), 10**12), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    ATOMS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3))
)
NAMES = ("asin", "reviewerID", "categories", "unixReviewTime")
LINES = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=4)), VALUES, max_size=6)


def both(line: bytes) -> tuple[object, object]:
    """What the quick reader finds, and what `literal` does; the kind of error where there is one."""
    found: list[object] = []
    for read in (lambda: values_of(line, *NAMES), lambda: {n: v for n, v in literal(line).items() if n in NAMES}):
        try:
            found.append(read())
        except ValueError:
            found.append(ValueError)
    return found[0], found[1]


@given(LINES, st.sampled_from([repr, json.dumps]))
def test_dictionaries_as_python_and_json_write_them(line: dict, write) -> None:
    quick, whole = both(write(line).encode(errors="replace"))
    assert quick == whole


@given(LINES, st.data())
def test_damaged_lines(line: dict, data: st.DataObject) -> None:
    text = repr(line).encode(errors="replace")
    place, other = data.draw(st.integers(0, len(text))), data.draw(st.binary(max_size=2))
    quick, whole = both(text[:place] + other + text[place + data.draw(st.integers(0, 2)) :])
    assert quick == whole


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{'asin': 'a', 'asin': 'b'}", {"asin": "b"}),
        ("{'text': \"'asin': 'x'\", 'asin': 'a'}", {"asin": "a"}),
        ("{'n': {'asin': 'x'}, 'asin': 'a'}", {"asin": "a"}),
        ("{'asin': 'a' 'b'}", {"asin": "ab"}),
        ("{'asin': '\\x41'}", {"asin": "A"}),
        ("{'asin':'a',}", {"asin": "a"}),
        ("{'unixReviewTime': -5}", {"unixReviewTime": -5}),
        ("{'categories': [['a', 'b'], []]}", {"categories": [["a", "b"], []]}),
        ("{'asin': 'a', 'n': [[[[None]]]]}", {"asin": "a"}),
        ("{}", {}),
    ],
)
def test_finds(text: str, found: dict) -> None:
    assert values_of(text.encode(), *NAMES) == found


@pytest.mark.parametrize("text", ["('asin': 'a'}", "{'asin': 'a'} ,", "{'asin': 'a'", "{'asin': 01}", "'asin': 'a'}"])
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="must be a dictionary"):
        values_of(text.encode(), "asin")


@pytest.mark.parametrize(
    ("read", "line", "message"),
    [
        (review_fields, "{'reviewerID': '', 'asin': 'x', 'unixReviewTime': 4}", "reviewerID must be a text, not ''"),
        (review_fields, "{'reviewerID': 'u', 'asin': 'x', 'unixReviewTime': 4.0}", "must be a whole number, not 4.0"),
        (review_fields, "{'reviewerID': 'u', 'asin': 'x', 'unixReviewTime': True}", "must be a whole number, not True"),
        (item_fields, "{'asin': 7}", "asin must be a text, not 7"),
    ],
)
def test_says_what_a_field_must_be(read, line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(line.encode())


def test_json_lines_and_python_literals_are_the_same() -> None:
    assert literal(b"{'asin': 'x', 'n': [1.0, None]}") == literal(b'{"asin": "x", "n": [1.0, null]}')


@pytest.mark.parametrize("text", [b"__import__('os').getcwd()", b"[1]", b"{'a': f()}", b"{", b"", b"\xff"])
def test_what_is_no_dictionary_is_refused_and_never_executed(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        literal(text)

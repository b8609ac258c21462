"""Lines of Amazon's reviews of 2014: dictionaries as Python or JSON writes them."""

import ast
import json
import re
from collections.abc import Callable, Mapping

from microduet.data.ids import text_value

Fields = Callable[[bytes], tuple[int, ...]]
"""The numbers that a line is kept as; raises ValueError or KeyError if it is not of the format."""

_TEXT = r"'[^'\\\r\n\0]*'|\"[^\"\\\r\n\0]*\""
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"


def _nested(value: str) -> str:
    """Also lists and dictionaries of such values."""
    lists, pairs = rf"\[(?:(?:{value})(?:, (?:{value}))*)?\]", rf"(?:{_TEXT}): (?:{value})"
    return rf"{value}|{lists}|\{{(?:{pairs}(?:, {pairs})*)?\}}"


_PAIR = re.compile(rf"({_TEXT}): ({_nested(_nested(f'{_TEXT}|{_NUMBER}'))})(, |\}}\Z)")
"""A name and its value, and what follows. No escapes, nor anything else that Python and JSON take apart differently."""


def literal(line: bytes) -> dict[str, object]:
    """The dictionary that a line writes, in JSON or as a Python literal; nothing in it is executed.

    Raises
    ------
    ValueError
        If it writes something else.
    """
    text = line.decode("utf-8", "strict")
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise ValueError("must be a dictionary") from error
    if not isinstance(value, dict):
        raise ValueError("must be a dictionary")
    return value


def values_of(line: bytes, *names: str) -> dict[str, object]:
    """Those of `names` that `literal` finds in a line. Plain lines are not built as a whole, which is 4 times as fast.

    Raises
    ------
    ValueError
        As `literal`.
    """
    text = line.decode("utf-8", "strict")
    found: dict[str, str] = {}
    place, end = 1, ", "
    while end == ", ":
        pair = _PAIR.match(text, place)
        if pair is None or text[0] != "{":
            whole = literal(line)
            return {name: whole[name] for name in names if name in whole}
        found[pair[1][1:-1]] = pair[2]
        place, end = pair.end(), pair[3]
    return {name: _value(found[name]) for name in names if name in found}


def _value(text: str) -> object:
    if text[0] in "'\"":
        return text[1:-1]
    return int(text) if text.lstrip("-").isdigit() else ast.literal_eval(text)


def review_fields(line: bytes) -> tuple[int, ...]:
    """User, item and time of a review."""
    found = values_of(line, "reviewerID", "asin", "unixReviewTime")
    time = found["unixReviewTime"]
    if not isinstance(time, int) or isinstance(time, bool):
        raise ValueError(f"unixReviewTime must be a whole number, not {time!r}")
    return text_value(_text(found, "reviewerID")), text_value(_text(found, "asin")), time


def item_fields(line: bytes) -> tuple[int, ...]:
    """An item and the last name of its last path of categories."""
    found = values_of(line, "asin", "categories")
    paths = found.get("categories")
    last = paths[-1] if isinstance(paths, list) and paths else None
    name = last[-1] if isinstance(last, list) and last else ""
    return text_value(_text(found, "asin")), text_value(str(name))


def _text(line: Mapping[str, object], name: str) -> str:
    value = line[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text, not {value!r}")
    return value

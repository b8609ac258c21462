"""The lines of the files of MovieLens 100k and 1M."""

import dataclasses
import itertools
import re
from pathlib import Path

from microduet.data.files import BadLines, split_lines

Line = dict[str, str]
"""Fields of a line by name, and its number as "line"."""


@dataclasses.dataclass(frozen=True)
class Lines:
    """A file of a set.

    Members
    -------
    pattern : of a line, with named groups
    form : what a message calls it
    """

    name: str
    pattern: re.Pattern[str]
    form: str

    def read(self, folder: Path, *, skip_bad: bool) -> tuple[list[Line], int]:
        """Fields of the good lines, which are Latin-1, and how many bad ones were skipped; raises DataError."""
        path = folder / self.name
        lines = split_lines(path.read_bytes())
        found: list[Line] = []
        numbers = itertools.count(1)

        def fault(line: bytes) -> str | None:
            number = next(numbers)
            match = self.pattern.fullmatch(line.decode("latin-1"))
            if match is None:
                return f"must be {self.form}"
            found.append({**match.groupdict(), "line": str(number)})
            return None

        good = BadLines(path, skip_bad).keep_good(lines, lambda: 1, fault)
        return found, len(lines) - len(good)


@dataclasses.dataclass(frozen=True)
class Format:
    """The three files of a set."""

    ratings: Lines
    users: Lines
    films: Lines


_NUMBER = r"\d{1,10}"

ML_100K = Format(
    ratings=Lines(
        "u.data",
        re.compile(rf"(?P<user>{_NUMBER})\t(?P<film>{_NUMBER})\t(?P<rating>[1-5])\t(?P<time>{_NUMBER})", re.ASCII),
        "user, film, rating 1 to 5 and time, with tabs between them",
    ),
    users=Lines(
        "u.user",
        re.compile(
            rf"(?P<user>{_NUMBER})\|(?P<age>\d{{1,3}})\|(?P<gender>[MF])\|(?P<occupation>[^|]+)\|(?P<zip>[^|]+)"
        ),
        "user|age|M or F|occupation|zip",
    ),
    films=Lines(
        "u.item",
        re.compile(
            rf"(?P<film>{_NUMBER})\|(?P<title>[^|]*)\|(?P<date>[^|]*)\|[^|]*\|[^|]*\|(?P<flags>(?:[01]\|){{18}}[01])"
        ),
        "film|title|date|video date|address and 19 genres of 0 or 1",
    ),
)

ML_1M = Format(
    ratings=Lines(
        "ratings.dat",
        re.compile(rf"(?P<user>{_NUMBER})::(?P<film>{_NUMBER})::(?P<rating>[1-5])::(?P<time>{_NUMBER})", re.ASCII),
        "user::film::rating 1 to 5::time",
    ),
    users=Lines(
        "users.dat",
        re.compile(
            rf"(?P<user>{_NUMBER})::(?P<gender>[MF])::(?P<age>\d{{1,3}})::(?P<occupation>\d{{1,3}})::(?P<zip>.+)"
        ),
        "user::M or F::age::occupation::zip",
    ),
    films=Lines(
        "movies.dat",
        re.compile(rf"(?P<film>{_NUMBER})::(?P<title>.*)::(?P<genres>[^:]+)"),
        "film::title::genres with | between them",
    ),
)

FORMATS = (ML_100K, ML_1M)

_YEAR = re.compile(r"\((\d{4})\)\s*$")


def year_of(film: Line) -> int:
    """The year of a film from its title, or its date (01-Jan-1995); 0 if neither has one."""
    found = _YEAR.search(film["title"]) or re.search(r"(\d{4})$", film.get("date", ""))
    return int(found[1]) if found else 0


def genres_of(film: Line) -> list[str]:
    """Genres of a film: names, or places of its flags."""
    if "flags" in film:
        return [f"{place:02}" for place, flag in enumerate(film["flags"].split("|")) if flag == "1"]
    return film["genres"].split("|")

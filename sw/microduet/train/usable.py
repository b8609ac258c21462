"""Whether a log's rows can be learnt and judged."""

from microduet.data.schema import PARTS, DataSet, Part
from microduet.errors import TrainingError

_ROWS = 1024
"""That are looked at together: all but hopeless logs show both labels in so few."""


def check_parts(data: DataSet, **wanted: int) -> None:
    """Look for both labels in each part of a log, from its start.

    Parameters
    ----------
    wanted : by part, rows of it that are used, at most

    Raises
    ------
    TrainingError
        If a part has no rows, or its labels are all equal.
    """
    counts: dict[Part, int] = {part: min(wanted[part], data.rows(part)) for part in PARTS}
    for part, count in counts.items():
        if count < 1:
            raise TrainingError(f"{data.schema.name}: its {part} part has no rows")
    for part, count in counts.items():
        seen = set[int]()
        for chunk in data.chunks(part, count=count, size=_ROWS):
            seen |= set(chunk.labels.tolist())
            if len(seen) > 1:
                break
        else:
            raise TrainingError(
                f"{data.schema.name}: the labels of its {part} part must be both 0 and 1, but all {count:,} are "
                f"{seen.pop()}"
            )

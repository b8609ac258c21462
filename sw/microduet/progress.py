"""Progress of long work, on a terminal."""

import contextlib
import typing
from collections.abc import Generator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Steps(typing.Protocol):
    """``progress(what, done, of)``."""

    def __call__(self, what: str, done: int, of: int, /) -> None: ...


@contextlib.contextmanager
def steps(console: Console) -> Generator[Steps]:
    """A progress bar per kind of work, on a terminal; nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} / {task.total:,.0f}"))
    rate = TextColumn("{task.fields[rate]}")
    shown = Progress(
        *columns, rate, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
    tasks: dict[str, typing.Any] = {}
    with shown:

        def report(what: str, done: int, of: int, /) -> None:
            kind = what.partition(":")[0]
            if kind not in tasks:
                tasks[kind] = shown.add_task(kind, total=of, rate="")
            task = next(task for task in shown.tasks if task.id == tasks[kind])
            speed = f"{task.speed:,.0f}/s" if task.speed else ""
            shown.update(tasks[kind], completed=done, total=of, description=what, rate=speed)

        yield report

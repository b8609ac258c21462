"""The commands under `microduet report`."""

from pathlib import Path
from typing import Annotated

import cyclopts

report = cyclopts.App(name="report", help="Set the papers' tables and figures beside what is measured here.")


@report.default
def report_page(
    *names: str,
    all: bool = False,
    cached: bool = False,
    rebuild: bool = True,
    folder: Path = Path("build/report"),
    json: bool = False,
) -> int:
    """Measure tables and figures of both papers and write one page of them: report.html, report.md and report.json.

    Results are kept: an interrupted report goes on where it was, and what was measured by the same sources is not
    measured again.

    Example: microduet report microrec-table-2 duet-figure-9

    Parameters
    ----------
    names
        like microrec-table-5 or duet-figure-12; a wrong one shows all that there are
    all
        every table and figure
    cached
        measure nothing: show what was measured before, also what is missing
    rebuild
        measure again what other sources measured; otherwise it is shown as stale
    folder
        of results and pages
    json
        print report.json instead of a table
    """
    from microduet.errors import InputError
    from microduet.report import command as implementation

    if bool(names) == all:
        raise InputError("name tables or figures, like microrec-table-5, or give --all; not both")
    options = implementation.ReportOptions(names=names, cached=cached, rebuild=rebuild, folder=folder, json=json)
    return implementation.main(options)


@report.command(name="table1")
def report_table1(
    *,
    models: Annotated[tuple[str, ...], cyclopts.Parameter(name="--model")] = (),
    data: str = "generated",
    rows: int | None = None,
    seeds: int = 3,
    test_rows: int = 1_000_000,
    json: bool = False,
) -> int:
    """Duet's Table 1: accuracy of base, split and split + int8, the paper's beside ours with intervals.

    Models that were measured with these arguments are not trained again.

    Example: microduet report table1 --model rm5 --rows 200000 --seeds 2

    Parameters
    ----------
    models
        rm1, rm2, rm3 or rm5, may be given several times; all four if not given
    data
        generated, generated:ROWS, or the path of a data set
    rows
        of the training part; if not given, all of it, and of the generated log 150,000 to 500,000 by model
    seeds
        how many trainings of each
    test_rows
        rows that all models are judged on, at most
    json
        print one JSON object instead of tables
    """
    from microduet.train import table1 as implementation

    chosen = models or tuple(implementation.PAPER)
    options = implementation.Table1Options(
        models=chosen, data=data, rows=rows, seeds=seeds, test_rows=test_rows, json=json
    )
    return implementation.main(options)

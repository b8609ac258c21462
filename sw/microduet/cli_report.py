"""The commands under `microduet report`."""

from typing import Annotated

import cyclopts

report = cyclopts.App(name="report", help="Set the papers' tables beside what is measured here.")


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

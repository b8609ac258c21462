"""The command `microduet train`, and those under `microduet bench` about training and its data."""

import dataclasses
from pathlib import Path
from typing import Literal

import cyclopts

from microduet.cli_bench import bench


@cyclopts.Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """How a data set's files are read.

    Parameters
    ----------
    hash_rows
        of every table of a data set from files: its values are taken modulo this instead of numbered
    skip_bad
        leave out lines that are not of the data set's format, and count them; otherwise the first one ends the command
    """

    hash_rows: int | None = None
    skip_bad: bool = False


AS_THEY_ARE = Files()


@cyclopts.Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """What of the trained split is ranked in integers.

    Parameters
    ----------
    gateware
        queries of the test part that also run through the simulated edge unit and engine, after the whole test part
        was ranked in their integers; of the first seed's duet split
    engine_precision
        of that engine: fixed16 or int8
    """

    gateware: int = 0
    engine_precision: str = "fixed16"


NO_SAMPLE = Sample()


def train(
    model: str,
    /,
    *,
    data: str,
    split: Literal["none", "duet", "exact"] = "duet",
    seeds: int = 3,
    rows: int | None = None,
    epochs: int = 1,
    batch: int = 256,
    table_rows: int | None = None,
    files: Files = AS_THEY_ARE,
    test_rows: int = 1_000_000,
    replicates: int = 200,
    precision: str = "auto",
    sample: Sample = NO_SAMPLE,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Train a model and its split on a click log; show accuracy, AUC, log-loss and calibration with intervals.

    An interrupted training goes on where it was; a finished one is only judged again.

    Example: microduet train rm1 --data generated --rows 200000 --seeds 1

    Parameters
    ----------
    model
        rm1, rm2, rm3, rm4, rm5, microrec-small, or a description (.json)
    data
        generated, generated:ROWS, or the path of a data set
    split
        none: the whole model alone; duet: also Duet's split, trained, and with the edge unit's int8; exact: also the
        lossless cut of the trained whole
    seeds
        how many trainings of each, from seed 0 on
    rows
        of the training part; all of it if not given
    epochs
        times that they are learnt, at most
    batch
        rows of a step
    table_rows
        of every table at most, to which ids are hashed; --hash-rows, or as many as fit 128 MB, at most 100,000, if
        not given
    files
        how a data set's files are read
    test_rows
        rows that all models are judged on, at most
    replicates
        of the bootstrap behind the intervals
    precision
        of the training's products: bfloat16, float32, or auto for bfloat16 where the processor multiplies it
    out
        folder of checkpoints, curves and results; one in the cache if not given
    json
        print one JSON object instead of a table
    """
    from microduet.train import command

    options = command.TrainOptions(
        data=data,
        split=split,
        seeds=seeds,
        rows=rows,
        epochs=epochs,
        batch=batch,
        table_rows=table_rows,
        hash_rows=files.hash_rows,
        skip_bad=files.skip_bad,
        test_rows=test_rows,
        replicates=replicates,
        precision=precision,
        gateware=sample.gateware,
        engine_precision=sample.engine_precision,
        out=out,
        json=json,
    )
    return command.main(model, options)


@bench.command(name="train")
def bench_train(
    *,
    model: str = "rm1",
    batch: int = 8192,
    batches: int = 8,
    rounds: int = 5,
    table_rows: int = 100_000,
    precision: str = "auto",
    seed: int = 0,
    json: bool = False,
) -> int:
    """Rows per second of the training on rows of Criteo's form, against a plain PyTorch loop of the same model.

    The plain loop has an EmbeddingBag with sparse gradients per table and one Adagrad. Both take turns.

    Example: microduet bench train --json

    Parameters
    ----------
    model
        whose layers are trained: rm1, rm2, rm3, rm4, rm5
    batch
        rows of a batch, of both loops
    batches
        of one round
    rounds
        of both loops in turns, after one that warms up; medians are shown
    table_rows
        of each of the 26 tables
    precision
        of the training's products: bfloat16, float32, or auto for bfloat16 where the processor multiplies it
    seed
        of the rows and the first weights
    json
        print one JSON object instead of a table
    """
    from microduet.train import bench as implementation

    options = implementation.TrainBenchOptions(
        model=model,
        batch=batch,
        batches=batches,
        rounds=rounds,
        table_rows=table_rows,
        precision=precision,
        seed=seed,
        json=json,
    )
    return implementation.main(options)


@bench.command(name="data")
def bench_data(*, rows: int = 500_000, model: str = "rm1", seed: int = 0, json: bool = False) -> int:
    """Rows per second of the loader of Criteo's text, beside pandas.read_csv on the same file, and of the generator.

    first: hash of the content, parsing and Parquet, once per file. chunks: every time after that.

    Example: microduet bench data --rows 2000000 --json

    Parameters
    ----------
    rows
        of the file, which is written for the bench
    model
        whose widths the generator is measured with
    seed
        of the rows
    json
        print one JSON object instead of a table
    """
    from microduet.data import bench as implementation

    return implementation.main(rows=rows, model=model, seed=seed, json=json)

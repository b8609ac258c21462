"""A sweep in a process of its own, to be killed: `python -m tests.sw.sweep.sweep_process CONFIG`."""

import sys
from pathlib import Path

from microduet.sweep import config, results
from microduet.sweep.pools import LocalPool
from microduet.sweep.run import run
from tests.sw.sweep.evaluations import slow

if __name__ == "__main__":
    sweep = config.read(Path(sys.argv[1]))
    with results.opened(sweep.output) as kept:
        pool = LocalPool(workers=2, evaluate=slow)
        run(sweep.points, kept, pool=pool, retries=sweep.retries)
        pool.close()

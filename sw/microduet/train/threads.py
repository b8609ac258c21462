"""How many threads a training uses: waiting for each other costs more than small batches do."""

import contextlib
import os
from collections.abc import Generator

import torch

from microduet.duet.shape import DlrmShape
from microduet.duet.split import macs

WORTH = 1 << 28
"""Products of a batch from which a second thread gains more than it costs."""


def threads_for(shape: DlrmShape, batch: int) -> int:
    """All processors for large batches of large models, else one."""
    work = macs(shape.bottom) + macs((shape.top_inputs, *shape.top)) + shape.lookups * shape.tables[0].dim
    return (len(os.sched_getaffinity(0)) if work * batch >= WORTH else 1) or 1


@contextlib.contextmanager
def using_threads(count: int) -> Generator[None]:
    """Torch works with `count` threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

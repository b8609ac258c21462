"""An engine that ranks for users gives the same outputs at every clock edge, however its simulator is put together."""

import functools
from collections.abc import Iterator

import numpy as np
import pytest

from microduet.queries.device import QueryDevice
from microduet_sim.queries import QuerySimulator
from tests.sw.queries.systems import SLOTS, Small

EDGES = 200_000


class Hashing(QuerySimulator):
    """Keeps a hash of all outputs at every clock edge."""

    rank = functools.partialmethod(QuerySimulator.rank, hashes=EDGES)


class HashingDevice(QueryDevice):
    SIMULATOR = Hashing


@pytest.fixture(scope="module")
def devices(system: Small) -> Iterator[list[QueryDevice]]:
    opened = [HashingDevice(system.engine, structure=name) for name in ("composite", "flat")]
    yield opened
    for one in opened:
        one.close()


@pytest.mark.parametrize("stalls", [0.0, 0.2, 0.7])
def test_composite_equals_flat_at_every_edge(
    devices: list[QueryDevice], system: Small, rng: np.random.Generator, stalls: float
) -> None:
    asked = [system.question(7, rng, at=20 * k, user_at=900 * (k % 3)) for k in range(3 * SLOTS)]
    hashes = []
    for device in devices:
        device.set_stalls(stalls, seed=5)
        device.ask(asked)
        assert device.ranked is not None
        hashes.append(device.ranked.hashes)
    assert len(hashes[0]) == len(hashes[1]) > 7 * len(asked)
    different = np.flatnonzero(hashes[0] != hashes[1])
    assert not different.size, f"first different edge of the batch: {different[0]}"

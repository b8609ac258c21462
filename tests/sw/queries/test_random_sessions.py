"""Random sessions of several users over bad links and with random stalls: every answer is the golden models'."""

import os
import secrets
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

import microduet as md
from microduet.edge.device import EdgeDevice
from microduet.queries.device import QueryDevice
from microduet.queries.ranking import QueryStatus, Request
from microduet.queries.session import Session, rank_all
from tests.sw.queries.systems import Small, User

USERS = 3
LINK = md.Link(rtt_ms=0.02, jitter_ms=0.03, loss=0.2, retry_ms=0.02, attempts=3)


@pytest.fixture(scope="module")
def units(system: Small) -> Iterator[list[EdgeDevice]]:
    opened = [EdgeDevice(system.edge) for _ in range(USERS)]
    yield opened
    for unit in opened:
        unit.close()


@pytest.mark.parametrize("queries", [60, pytest.param(1000, marks=pytest.mark.nightly)])
def test_every_query_of_every_user_is_answered_right_or_by_name(
    system: Small, device: QueryDevice, units: list[EdgeDevice], queries: int
) -> None:
    seed = int(os.environ.get("COCOTB_RANDOM_SEED") or secrets.randbits(31))
    print(f"seed {seed}; repeat with COCOTB_RANDOM_SEED={seed}")
    rng = np.random.default_rng(seed)
    users = [
        User(system, Session(device, unit, LINK.replace(seed=seed), stream=k), rng) for k, unit in enumerate(units)
    ]
    ended: Counter[QueryStatus] = Counter()
    while ended.total() < queries:
        device.set_stalls(float(rng.choice([0, 0.1, 0.4])), seed=int(rng.integers(1 << 31)))
        for user in users:
            entry = tuple(rng.normal(0, 0.3, history.elements) for history in system.edge.config.histories)
            user.click(entry, entry)
        asked = [(user, _request(user, rng)) for user in users for _ in range(int(rng.integers(0, 4)))]
        for (user, request), ranking in zip(asked, rank_all(device, [r for _, r in asked]), strict=True):
            ended[ranking.status] += 1
            if ranking.status is QueryStatus.OK:
                user.check(request, ranking)
    device.set_stalls(0, seed=0)
    assert set(ended) <= {QueryStatus.OK, QueryStatus.LINK_LOST, QueryStatus.DISCONNECTED, QueryStatus.TIMEOUT}
    assert ended[QueryStatus.OK] > queries / 2


def _request(user: User, rng: np.random.Generator) -> Request:
    leaves = float(rng.uniform(0, 100)) if rng.random() < 0.1 else None
    return user.request(int(rng.integers(1, 40)), at_us=float(rng.uniform(0, 60)), leaves_us=leaves)

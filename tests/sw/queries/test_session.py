"""A user's session: device, link and engine as one; how every query ends, and when."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet.edge.device import EdgeDevice
from microduet.errors import InputError
from microduet.queries.histories import Histories
from microduet.queries.open import OwnSession
from microduet.queries.ranking import QueryStatus
from microduet.queries.session import HEADER_BYTES, Session, rank_all
from microduet_hw.user_code import shorter
from tests.sw.queries.systems import TOP_K, Small, User


@pytest.fixture(scope="module")
def session(system: Small) -> Iterator[OwnSession]:
    with md.query(system.edge, system.engine, md.Link(rtt_ms=0.1), histories=Histories(system.model)) as opened:
        yield opened


@pytest.fixture
def user(system: Small, session: OwnSession) -> User:
    return User(system, session, np.random.default_rng(3))


def test_the_whole_way_gives_the_golden_models_ranking(user: User) -> None:
    request = user.request(21)
    user.check(request, rank_all(user.session.engine, [request])[0])


def test_times_add_up(user: User) -> None:
    request = user.request(9)
    (ranking,) = rank_all(user.session.engine, [request])
    timing = ranking.timing
    assert timing is not None
    assert ranking.payload is not None
    coded = shorter(ranking.payload)
    sent = len(ranking.payload if coded is None else coded) + HEADER_BYTES
    assert timing.link_us == pytest.approx(50 + sent * 8 / 24, abs=0.01)
    assert timing.total_us == pytest.approx(timing.edge_us + timing.link_us + timing.wait_us, abs=0.01)
    assert 0 < timing.edge_us < 5
    assert ranking.up_bits == 8 * sent
    assert timing.down_us is not None
    assert timing.down_us > 50


def test_a_click_on_an_answers_item_is_in_the_next_query(user: User) -> None:
    histories = user.session.histories
    assert histories is not None
    ids = user.rng.integers(0, 50, (6, histories.lookups))
    (ranking,) = rank_all(user.session.engine, [user.request(6, entries=ids)])
    best = int(ranking.tags[0])
    user.click(best, histories.entry(ids[best]))
    request = user.request(7)
    user.check(request, rank_all(user.session.engine, [request])[0])


def test_embeddings_go_down_apart_from_the_latency(user: User) -> None:
    histories = user.session.histories
    assert histories is not None
    ids = user.rng.integers(0, 50, (6, histories.lookups))
    plain, brings = (rank_all(user.session.engine, [user.request(6, entries=entries)])[0] for entries in (None, ids))
    elements = sum(history.elements for history in user.system.edge.config.histories)
    assert brings.down_bits - plain.down_bits == 8 * 4 * elements * TOP_K


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"candidates": np.zeros((0, 4), np.int64)}, QueryStatus.NO_CANDIDATES),
        ({"k": 9}, QueryStatus.K_TOO_LARGE),
        ({"k": 0}, QueryStatus.K_TOO_LARGE),
        ({"candidates": np.zeros((6, 1), np.int64)}, QueryStatus.BAD_CANDIDATES),
        ({"candidates": np.full((6, 4), 10**6)}, QueryStatus.BAD_CANDIDATES),
        ({"candidates": np.full((6, 4), -1)}, QueryStatus.BAD_CANDIDATES),
        ({"context": [1.0]}, QueryStatus.BAD_CONTEXT),
        ({"context": [float("nan"), 0.0]}, QueryStatus.BAD_CONTEXT),
        ({"tags": np.array([1, 2, 3, 4, 5, 5], np.uint32)}, QueryStatus.DUPLICATE_TAGS),
        ({"tags": np.array([1, 2], np.uint32)}, QueryStatus.BAD_TAGS),
        ({"tags": np.arange(6) + 2**32}, QueryStatus.BAD_TAGS),
        ({"tags": np.zeros(6)}, QueryStatus.BAD_TAGS),
        ({"leaves_us": 1.0}, QueryStatus.DISCONNECTED),
    ],
)
def test_a_query_that_cannot_be_answered_says_why_and_no_other_is_touched(
    user: User, changes: dict[str, object], status: QueryStatus
) -> None:
    first, wrong, last = user.request(6), user.request(6, **changes), user.request(6)
    answers = rank_all(user.session.engine, [first, wrong, last])
    assert answers[1].status is status
    assert len(answers[1].tags) == 0
    user.check(first, answers[0])
    user.check(last, answers[2])


def test_a_lost_link_ends_in_a_status_of_its_own(system: Small, session: OwnSession) -> None:
    link = md.Link(loss=1.0, attempts=2, retry_ms=0.01)
    lost = User(system, Session(session.engine, session.edge, link, stream=1), np.random.default_rng(4))
    (ranking,) = rank_all(session.engine, [lost.request(5)])
    assert ranking.status is QueryStatus.LINK_LOST
    assert ranking.timing is not None
    assert math.isinf(ranking.timing.link_us)


def test_a_click_on_what_no_answer_brought_is_refused(user: User) -> None:
    with pytest.raises(InputError, match=r"the last answer brought embeddings of items .*, not of 12345"):
        user.session.click(12345)
    with pytest.raises(InputError, match="a click has an entry for each of the 2 histories, not 1"):
        user.session.click([np.zeros(6)])


def test_a_click_with_one_wrong_entry_changes_no_history(user: User) -> None:
    sizes = [history.elements for history in user.system.edge.config.histories]
    with pytest.raises(InputError, match="must have 3 elements, not 1"):
        user.session.click([np.ones(sizes[0]), np.ones(1)])
    request = user.request(5)
    user.check(request, rank_all(user.session.engine, [request])[0])


def test_a_unit_whose_vectors_do_not_fit_is_refused(system: Small, session: OwnSession, tmp_path: Path) -> None:
    other = md.compile_edge(md.models.dlrm(_other(tmp_path), split="duet"), out=tmp_path / "edge")
    with EdgeDevice(other) as unit, pytest.raises(InputError, match="takes user vectors of 9 bytes, the unit"):
        Session(session.engine, unit, md.Link())


def test_an_engine_without_users_takes_no_sessions(system: Small) -> None:
    with pytest.raises(InputError, match="ranks without users; compile the item's part of a split model"):
        md.query(system.edge, md.compile("microrec-small"))


def _other(folder: Path) -> str:
    from tests.sw.duet.engines import SMALL

    path = folder / "other.json"
    path.write_bytes(SMALL.replace(name="other", top=(32, 24, 1)).to_json())
    return str(path)

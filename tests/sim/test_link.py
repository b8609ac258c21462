"""The link between device and datacentre: rates, delay, jitter, loss, retransmission."""

from typing import Any

import numpy as np
import pytest

from microduet_sim.link import PS_PER_MS, PS_PER_US, Link, LinkError


@pytest.mark.parametrize(
    ("size", "microseconds"), [(48, 16), (192, 64), (768, 256), (120, 40)], ids=["rm1", "rm3", "rm4", "rm5"]
)
def test_a_payload_takes_the_papers_time(size: int, microseconds: int) -> None:
    sent = Link().open().send(size, 0)
    assert sent.arrived_ps == microseconds * PS_PER_US
    assert (sent.sent_bits, sent.retransmissions) == (8 * size, 0)


def test_half_of_the_round_trip_is_added_each_way() -> None:
    link = Link(rtt_ms=30).open()
    assert link.send(48, 0).arrived_ps == 15 * PS_PER_MS + 16 * PS_PER_US
    assert link.send(1000, 0, "down").arrived_ps == 15 * PS_PER_MS + 80 * PS_PER_US


def test_a_second_message_waits_for_the_line_and_the_other_direction_does_not() -> None:
    link = Link().open()
    link.send(48, 0)
    assert link.send(48, 5 * PS_PER_US).arrived_ps == 32 * PS_PER_US
    assert link.send(48, 100 * PS_PER_US).arrived_ps == 116 * PS_PER_US
    assert link.send(125, 0, "down").arrived_ps == 10 * PS_PER_US


def test_long_messages_are_cut_into_packets() -> None:
    sent = Link(packet_bytes=100).open().send(250, 0)
    assert sent.sent_bits == 2000
    assert sent.arrived_ps == Link().picoseconds(250)


def test_a_lost_packet_is_sent_again_after_the_timer() -> None:
    link = Link(loss=0.5, retry_ms=2, attempts=64, seed=3)
    messages = [link.open(stream=k).send(48, 0) for k in range(200)]
    for message in messages:
        assert message.arrived_ps is not None
        times = message.retransmissions + 1
        assert message.arrived_ps == times * 16 * PS_PER_US + message.retransmissions * 2 * PS_PER_MS
        assert message.sent_bits == 8 * 48 * times
    assert np.mean([message.retransmissions for message in messages]) == pytest.approx(1, abs=0.35)


def test_a_message_is_lost_when_a_packet_of_it_is_given_up() -> None:
    message = Link(loss=1, attempts=3).open().send(48, 0)
    assert message.arrived_ps is None
    assert (message.retransmissions, message.sent_bits) == (2, 3 * 384)


def test_jitter_delays_by_up_to_its_value_and_packets_may_overtake() -> None:
    link = Link(jitter_ms=10, seed=1).open()
    times = [link.send(48, 0).arrived_ps for _ in range(100)]
    sent = [(k + 1) * 16 * PS_PER_US for k in range(100)]
    late = np.array(times) - np.array(sent)
    assert late.min() >= 0
    assert late.max() <= 10 * PS_PER_MS
    assert (np.diff(times) < 0).any()


def test_equal_seeds_give_equal_links_and_users_differ() -> None:
    link = Link(jitter_ms=5, loss=0.2, seed=7)
    first, again, other = (link.open(stream=k) for k in (0, 0, 1))
    assert [first.send(48, 0) for _ in range(20)] == [again.send(48, 0) for _ in range(20)]
    assert first.send(48, 0) != other.send(48, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"up_mbps": 0}, "link up_mbps must be above 0 and at most 10.6, not 0"),
        ({"down_mbps": -1}, "link down_mbps must be above 0"),
        ({"rtt_ms": -1}, "link rtt_ms must be 0 to 10.6, not -1"),
        ({"retry_ms": float("nan")}, "link retry_ms must be 0 to 10.6, not nan"),
        ({"loss": 1.5}, "link loss must be 0 to 1, not 1.5"),
        ({"attempts": 0}, "link attempts must be at least 1, not 0"),
        ({"packet_bytes": 0}, "link packet_bytes must be at least 1, not 0"),
    ],
)
def test_refuses_links_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LinkError, match=message):
        Link(**changes)


@pytest.mark.parametrize(("size", "at"), [(0, 0), (48, -1)])
def test_refuses_messages_that_cannot_be(size: int, at: int) -> None:
    with pytest.raises(LinkError, match="a message has at least 1 byte and a time of at least 0"):
        Link().open().send(size, at)

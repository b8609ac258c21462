"""The network between cards: lines carry one message at a time, at both ends; a card's own messages need none."""

import numpy as np
import pytest

from microduet_sim.network import FRAME_BYTES, PAYLOAD_BYTES, Network, NetworkError

FAST = Network(gbps=8, latency_us=0)  # a byte per nanosecond
SIZE = 1000 - FRAME_BYTES


def test_a_message_takes_its_bytes_on_both_lines_and_the_latency_between() -> None:
    network = FAST.replace(latency_us=2)
    sent = network.deliver(np.array([[0, 5000], [7000, 9000]]), (SIZE, SIZE))
    assert sent.arrived_ps.tolist() == [[0, 5000 + 2 * 10**6 + 2 * 10**6], [7000 + 4 * 10**6, 9000]]
    assert sent.sent_bytes.tolist() == sent.received_bytes.tolist() == [1000, 1000]


def test_messages_of_one_sender_wait_for_its_line() -> None:
    ready = np.zeros((2, 6), np.int64)
    arrived = FAST.deliver(ready, (SIZE, SIZE)).arrived_ps
    assert arrived[0, 1::2].tolist() == [2 * 10**6, 3 * 10**6, 4 * 10**6]
    assert not arrived[0, ::2].any(), "its own items need no line"


def test_messages_of_several_senders_wait_for_the_receivers_line() -> None:
    ready = np.zeros((4, 4), np.int64)
    ready[1:, 0] = [300_000, 100_000, 200_000]
    arrived = FAST.deliver(ready, (SIZE,) * 4).arrived_ps[1:, 0]
    assert arrived.tolist() == [100_000 + 4 * 10**6, 100_000 + 2 * 10**6, 100_000 + 3 * 10**6]


def test_no_message_is_faster_than_its_line() -> None:
    generator = np.random.default_rng(5)
    cards, items, sizes = 3, 200, (300, 500, 100)
    ready = np.cumsum(generator.integers(0, 400_000, (cards, items)), axis=1)
    sent = FAST.deliver(ready, sizes)
    times = np.array([FAST.picoseconds(size) for size in sizes])
    target = np.arange(items) % cards
    for card in range(cards):
        away, mine = target != card, target == card
        assert (sent.arrived_ps[card, mine] == ready[card, mine]).all()
        assert (sent.arrived_ps[card, away] >= ready[card, away] + 2 * times[card]).all()
        others = np.delete(np.arange(cards), card)
        ends = np.sort(sent.arrived_ps[np.ix_(others, mine)].ravel())
        assert (np.diff(ends) >= min(times[others])).all(), "one message at a time"
    assert sent.sent_bytes.sum() == sent.received_bytes.sum()


def test_long_messages_take_several_frames() -> None:
    assert Network().wire_bytes(PAYLOAD_BYTES + 1) == PAYLOAD_BYTES + 1 + 2 * FRAME_BYTES


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gbps": 0}, "network gbps must be above 0 and at most 10000, not 0"),
        ({"gbps": 1e6}, "network gbps must be above 0 and at most 10000, not 1000000.0"),
        ({"latency_us": -1}, "network latency_us must be 0 to 10000, not -1"),
        ({"latency_us": float("nan")}, "network latency_us must be 0 to 10000, not nan"),
    ],
)
def test_a_network_that_cannot_be_is_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(NetworkError, match=f"^{message}$"):
        Network(**given)

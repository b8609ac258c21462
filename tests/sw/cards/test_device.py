"""Several cards give the golden model's scores, whatever waits; a card that dies takes the others with it."""

import multiprocessing
import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

import microduet as md
from microduet.bundle import Bundle
from microduet.cards.device import CardsDevice
from microduet.cards.executor import RayExecutor
from microduet.errors import DeviceError, InputError
from microduet_sim.network import Network
from tests.support.environment import alone
from tests.sw.cards.models import Alike, batch


@pytest.fixture(scope="module")
def whole() -> Bundle:
    """The same model for one card that holds all of it."""
    return md.compile(Alike())


@pytest.fixture(scope="module")
def device() -> Iterator[CardsDevice]:
    """Two cards that differ in their tables' contents alone."""
    with md.open(md.compile_cards(Alike(), cards=2)) as opened:
        yield opened


@pytest.mark.parametrize("items", [1, 2, 41])
def test_scores_are_the_golden_models_of_the_whole_model(device: CardsDevice, whole: Bundle, items: int) -> None:
    sparse, dense = batch(whole.shape, items, seed=items)
    golden = whole.golden().run(sparse, dense)
    result = device.run(sparse, dense)
    assert not result.status.any()
    assert (result.logits == golden.logits).all()
    assert (result.scores == golden.scores).all()
    assert (device.infer(sparse, dense, raw=True) == golden.logits).all()


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_stalls_change_no_score(device: CardsDevice, whole: Bundle, probability: float) -> None:
    sparse, dense = batch(whole.shape, 60, seed=9)
    device.set_stalls(probability, seed=3)
    found = device.run(sparse, dense).logits
    device.set_stalls(0, seed=0)
    assert (found == whole.golden().run(sparse, dense).logits).all()


def test_an_item_is_joined_after_the_network_and_finished_after_that(device: CardsDevice, whole: Bundle) -> None:
    sparse, dense = batch(whole.shape, 8)
    result = device.run(sparse, dense, mode="idle")
    assert (result.joined_ps > result.sent_ps + device.network.latency_us * 1e6).all()
    assert (result.finished_ps > result.joined_ps).all()
    assert (np.diff(result.sent_ps) > 40_000_000).all()
    latency = result.finished_ps - result.sent_ps
    assert latency.max() - latency.min() < 300_000, "items that never meet take equally long"


def test_a_slow_network_slows_the_cards_down(device: CardsDevice, whole: Bundle) -> None:
    sparse, dense = batch(whole.shape, 64)
    fast = device.run(sparse, dense)
    device.network, kept = Network(gbps=0.1), device.network
    slow = device.run(sparse, dense)
    device.network = kept
    assert (slow.logits == fast.logits).all()
    assert slow.items_per_second < 0.5 * fast.items_per_second


def test_wrong_ids_are_refused_before_anything_is_sent(device: CardsDevice, whole: Bundle) -> None:
    sparse, dense = batch(whole.shape, 4)
    sparse[2, 3] = 5000
    with pytest.raises(InputError, match=r"^sparse\[2, 3\] must be 0 to 4999 \(feature 3\), not 5000$"):
        device.run(sparse, dense)
    with pytest.raises(InputError, match=r"^dense must be float32"):
        device.run(sparse[:2], None)


def test_a_card_that_dies_is_named_and_none_is_left(whole: Bundle) -> None:
    sparse, dense = batch(whole.shape, 4)
    before = set(multiprocessing.active_children())
    device = md.open(md.compile_cards(Alike(), cards=2))
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    pid = device.pids[1]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(DeviceError, match=r"^card 1: its process has died \(exit code -9\)$"):
        device.run(sparse, dense)
    assert not any(process.is_alive() for process in started)
    with pytest.raises(DeviceError, match=r"^the cards are closed; open the bundle again$"):
        device.run(sparse, dense)


def test_a_card_that_cannot_be_opened_is_named(tmp_path: object, whole: Bundle) -> None:
    bundle = md.compile_cards(Alike(), cards=2, out=f"{tmp_path}/cards")
    (bundle.parts[1].path / "plan.json").unlink()
    before = set(multiprocessing.active_children())
    with pytest.raises(DeviceError, match=r"^card 1: .*plan.json: cannot be read"):
        md.open(bundle)
    assert set(multiprocessing.active_children()) == before


@pytest.mark.nightly
def test_three_cards_in_int8() -> None:
    bundle = md.compile_cards(Alike(), cards=3, precision="int8")
    sparse, dense = batch(bundle.shape, 31)
    golden = md.compile(Alike(), precision="int8").golden().run(sparse, dense)
    with md.open(bundle) as device:
        device.set_stalls(0.3, seed=5)
        assert (device.run(sparse, dense).logits == golden.logits).all()


def test_cards_run_on_ray(whole: Bundle) -> None:
    sparse, dense = batch(whole.shape, 21)
    bundle = md.compile_cards(Alike(), cards=2)
    with alone("ray"), md.open(bundle, executor=RayExecutor()) as device:
        assert (device.run(sparse, dense).logits == whole.golden().run(sparse, dense).logits).all()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", r"^address must be HOST:PORT, not 'nowhere'$"),
        ("127.0.0.1:1", r"^Ray cluster 127.0.0.1:1 is out of reach: Connection refused$"),
    ],
)
def test_a_cluster_out_of_reach_is_named(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RayExecutor(address)

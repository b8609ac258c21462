"""Faults on small engines: each marks its item or ends the batch in a line, and all others are right."""

from collections.abc import Iterator

import numpy as np
import pytest

import microduet as md
from microduet.bundle import Bundle
from microduet.device import Device
from microduet.errors import DeviceError
from microduet.measure import compare
from microduet.packets import pack_items, packet_beats
from microduet_hw.image import load_beats
from microduet_hw.status import Status
from microduet_sim.batch import NO_PAUSE, Fault, Pause, Stalls
from microduet_sim.simulator import Simulator
from tests.sw.small_engines import CHANNEL, ITEM, ITEMS, USER, USERS, check, compiled, inputs


@pytest.fixture
def device() -> Iterator[Device]:
    with md.open(compiled("mixed")) as opened:
        yield opened


def expect(bundle: Bundle, batch_status: np.ndarray, logits: np.ndarray, wrong: dict[int, Status], data: tuple) -> None:
    """Items of `wrong` have that status; all others are right."""
    golden = bundle.golden().run(*data).logits
    for item, status in enumerate(batch_status.tolist()):
        assert Status(status) == wrong.get(item, Status.OK), item
        if item not in wrong:
            assert logits[item] == golden[item], item


FAULTS = [
    (Fault(error_on=5), {4: Status.AXI_ERROR}),
    (Fault(silent_on=7), {6: Status.TIMEOUT}),
    (Fault(error_on=1, silent_on=20), {0: Status.AXI_ERROR, 19: Status.TIMEOUT}),
    (Fault(reorder=True), {}),
    (Fault(reorder=True, error_on=11), {10: Status.AXI_ERROR}),
]


@pytest.mark.parametrize(("fault", "wrong"), FAULTS, ids=range(len(FAULTS)))
@pytest.mark.parametrize("precision", ["fixed16", "int8"])
def test_faults_of_memory_mark_one_item(precision: str, fault: Fault, wrong: dict[int, Status]) -> None:
    bundle = compiled("mixed", precision)
    sparse, dense = inputs(bundle, 40)
    with md.open(bundle) as device:
        device.set_faults({CHANNEL: fault})
        batch = device.run(sparse, dense)
        expect(bundle, batch.status, batch.logits, wrong, (sparse, dense))
        assert np.flatnonzero(np.isnan(batch.scores)).tolist() == sorted(wrong)
        assert device.status == [wrong.get(item, Status.OK) for item in range(40)]
        device.set_faults({})
        check(bundle, device.run(sparse, dense), sparse, dense)


def packets_of(bundle: Bundle, items: int) -> tuple[np.ndarray, tuple]:
    sparse, dense = inputs(bundle, items)
    assert dense is not None
    return pack_items(bundle.config, sparse=sparse, dense=bundle.dense(dense)), (sparse, dense)


@pytest.mark.parametrize(("column", "index"), [(USER, USERS), (ITEM, ITEMS), (ITEM, 0xFFFFFFFF), (5, 300)])
def test_index_out_of_range_marks_its_item(device: Device, column: int, index: int) -> None:
    packets, data = packets_of(device.bundle, 20)
    packets[7, 1 + column] = index
    results = device.send(packets)
    expect(device.bundle, results.status, results.logit, {7: Status.INDEX_RANGE}, data)
    assert results.tag.tolist() == list(range(20))


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_short_and_long_packets_mark_their_items(device: Device, probability: float) -> None:
    packets, data = packets_of(device.bundle, 30)
    beats = np.full(30, packet_beats(device.bundle.config))
    beats[[0, 9]] -= 1
    beats[[5, 6, 29]] += (1, 40, 1)
    device.set_stalls(probability, seed=4)
    results = device.send(packets, beats=beats)
    wrong = dict.fromkeys((0, 9), Status.SHORT_PACKET) | dict.fromkeys((5, 6, 29), Status.LONG_PACKET)
    expect(device.bundle, results.status, results.logit, wrong, data)


def test_a_host_that_stops_in_a_packet_marks_its_item(device: Device) -> None:
    """What it sends after all is dropped; one that comes back a cycle before is waited for."""
    packets, data = packets_of(device.bundle, 30)
    watchdog = device.bundle.config.watchdog
    for cycles, wrong in ((watchdog - 1, {}), (watchdog, {7: Status.TIMEOUT}), (9 * watchdog, {7: Status.TIMEOUT})):
        device.simulator.set_pause(Pause(packet=7, beat=1, cycles=cycles))
        results = device.send(packets)
        expect(device.bundle, results.status, results.logit, wrong, data)
    device.simulator.set_pause(NO_PAUSE)
    results = device.send(packets)
    expect(device.bundle, results.status, results.logit, {}, data)


def test_weights_that_changed_on_the_way_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Simulator.load

    def damaged(simulator: Simulator, beats: np.ndarray) -> None:
        changed = beats.copy()
        changed[len(beats) // 3, 5] ^= 1 << 9
        load(simulator, changed)

    monkeypatch.setattr(Simulator, "load", damaged)
    said = r"the engine took other weights than were sent: their CRC is [0-9a-f]{8}, not [0-9a-f]{8}"
    with pytest.raises(DeviceError, match=said) as raised:
        md.open(compiled("mixed"))
    assert "\n" not in str(raised.value)


def test_a_reload_repairs_weights(device: Device) -> None:
    sparse, dense = inputs(device.bundle, 20)
    bundle = device.bundle
    beats = load_beats(bundle.config, bundle.engine_model, bundle.rows)
    beats[:, :8] ^= 0x10101010
    device.simulator.load(beats)
    assert compare(bundle, device.run(sparse, dense), sparse, dense)[1] > 0
    device.reload()
    check(bundle, device.run(sparse, dense), sparse, dense)
    device.close()
    with pytest.raises(DeviceError, match="the device is closed"):
        device.reload()


def test_several_faults_of_one_item_are_all_named(device: Device) -> None:
    packets, data = packets_of(device.bundle, 10)
    packets[3, 1 + USER] = USERS
    device.set_faults({CHANNEL: Fault(error_on=4)})
    results = device.send(packets)
    expect(device.bundle, results.status, results.logit, {3: Status.INDEX_RANGE | Status.AXI_ERROR}, data)


@pytest.mark.parametrize("stream", ["items", "results"])
def test_a_stream_that_stands_still_ends_the_batch_in_a_line(device: Device, stream: str) -> None:
    device.simulator.set_stalls(Stalls(**{stream: 1.0}))
    with pytest.raises(DeviceError, match="nothing moved for 200000 engine cycles") as raised:
        device.infer(*inputs(device.bundle, 5))
    assert "\n" not in str(raised.value)
    assert device.simulator.closed


@pytest.mark.parametrize("stream", ["requests", "responses"])
def test_memory_that_stands_still_marks_every_item_and_is_forgiven(device: Device, stream: str) -> None:
    """More items than reads may be in flight: the rest finds no ID free, and is told so too.

    The first read is taken: ARREADY is high before it falls for ever.
    """
    sparse, dense = inputs(device.bundle, device.bundle.config.outstanding + 8)
    device.simulator.set_stalls(Stalls(**{stream: 1.0}))
    batch = device.run(sparse, dense)
    assert {Status(status) for status in batch.status[1:].tolist()} == {Status.TIMEOUT}
    limit = 3 * device.bundle.config.watchdog * len(sparse)
    assert batch.cycles * device.bundle.config.memory_mhz / device.bundle.config.engine_mhz < limit
    device.simulator.set_stalls(Stalls())
    device.run(sparse, dense)  # the answers that were late come with it
    check(device.bundle, device.run(sparse, dense), sparse, dense)


def test_unknown_channel_has_no_faults(device: Device) -> None:
    with pytest.raises(ValueError, match=r"faults must be of memory channels, \[0\], not \[9\]"):
        device.set_faults({9: Fault(error_on=1)})

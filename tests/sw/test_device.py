"""The driver on small engines: every score is the golden model's, and every mistake has a name."""

import functools
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import microduet as md
from microduet.boards import find
from microduet.bundle import Bundle
from microduet.device import Batch, Device
from microduet.errors import BundleError, DeviceError, InputError
from microduet.measure import compare
from microduet.packets import pack_items, packet_beats
from microduet.placement import place
from microduet.presets import engine_config
from microduet.trace import trace
from microduet.traffic import make_ids
from microduet_hw.config import Array, Precision
from microduet_hw.image import load_beats
from microduet_hw.status import Status
from microduet_sim.batch import NO_PAUSE, Fault, Pause, Stalls
from microduet_sim.simulator import Simulator
from tests.sw.cases import Mixed

CHANNEL = 0
"""The source that holds the generated table: one read of it per item."""
USER, ITEM, USERS, ITEMS = 0, 1, 40, 300_000
"""Columns of `sparse` and rows of their tables: the first lies on chip, the second in the channel."""
PRECISIONS = [str(precision) for precision in Precision]


class Wide(torch.nn.Module):
    """No hidden layer, no sigmoid: one dot product."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.users, self.out = torch.nn.Embedding(4000, 9), torch.nn.Linear(9, 1)

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return self.out(self.users(sparse[:, 0]))


@functools.cache
def compiled(kind: str, precision: str = "fixed16", seed: int = 0) -> Bundle:
    """A bundle with small arrays, whose simulator is built in seconds."""
    traced = trace(Mixed(seed=seed) if kind == "mixed" else Wide())
    shape, board = traced.shape, find("u280")
    arrays = (Array(pes=8, lanes=4, drain=4, layers=(0, 1)),) if shape.hidden else ()
    plan = place(shape, precision=Precision(precision), board=board)
    config = engine_config(shape, precision=Precision(precision), arrays=arrays, plan=plan)
    folder = Path(tempfile.mkdtemp(prefix="microduet-test-"))
    return md.compile(traced, precision=precision, config=config, out=folder / "bundle")


def inputs(bundle: Bundle, items: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    sparse = make_ids(bundle.config, items=items, traffic="uniform", seed=seed)
    dense = np.random.default_rng(seed).standard_normal((items, bundle.config.dense), np.float32)
    return sparse, dense if bundle.config.dense else None


def check(bundle: Bundle, batch: Batch, sparse: np.ndarray, dense: np.ndarray | None) -> None:
    mismatches, count = compare(bundle, batch, sparse, dense)
    assert count == 0, [str(mismatch) for mismatch in mismatches]


@pytest.fixture
def device() -> Iterator[Device]:
    with md.open(compiled("mixed")) as opened:
        yield opened


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("items", [1, 2, 77])
def test_scores_are_the_golden_models(precision: str, items: int) -> None:
    bundle = compiled("mixed", precision)
    sparse, dense = inputs(bundle, items)
    with md.open(bundle) as device:
        scores = device.infer(sparse, dense)
        golden = bundle.golden().run(sparse, dense)
        np.testing.assert_array_equal(scores, golden.scores)
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(device.infer(sparse, dense, raw=True), golden.logits)
        assert device.status == [Status.OK] * items


def test_logits_without_a_sigmoid_become_floats() -> None:
    bundle = compiled("wide")
    sparse, dense = inputs(bundle, 50)
    with md.open(bundle) as device:
        batch = device.run(sparse, dense)
        check(bundle, batch, sparse, dense)
    np.testing.assert_array_equal(batch.scores, np.ldexp(batch.logits, -bundle.model.logit_fraction))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("probability", [0.1, 0.9])
def test_stalls_change_no_score(precision: str, probability: float) -> None:
    bundle = compiled("mixed", precision)
    sparse, dense = inputs(bundle, 60)
    with md.open(bundle) as device:
        free = device.run(sparse, dense)
        device.set_stalls(probability, seed=5)
        stalled = device.run(sparse, dense)
    check(bundle, stalled, sparse, dense)
    assert (stalled.latency != free.latency).any()


STREAMS = ("items", "results", "requests", "responses")
WAITS = (0.0, 0.5, 0.95)
SIZES = (1, 2, 45)
CROSS = [(dict(zip(STREAMS, waits, strict=True)), n) for waits in product(WAITS, repeat=4) for n in SIZES]
"""How often each stream waits, idle sources and back-pressure alike, and the items of a batch."""


def check_cross(device: Device, cases: Iterable[tuple[dict[str, float], int]]) -> None:
    """Logits of every case are those of a batch without stalls."""
    sparse, dense = inputs(device.bundle, max(SIZES))
    assert dense is not None
    free = device.run(sparse, dense).logits
    for seed, (waits, items) in enumerate(cases):
        device.simulator.set_stalls(Stalls(**waits, seed=seed))
        batch = device.run(sparse[:items], dense[:items])
        assert batch.logits.tolist() == free[:items].tolist(), f"{waits}, {items} items, seed {seed}"
        assert set(batch.status.tolist()) == {Status.OK}, f"{waits}, {items} items, seed {seed}"


def test_no_wait_of_any_stream_changes_a_result(device: Device) -> None:
    check_cross(device, random.Random(1).sample(CROSS, 12))


@pytest.mark.nightly
@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_waits_of_all_streams_in_every_combination_change_a_result(precision: str) -> None:
    with md.open(compiled("mixed", precision)) as opened:
        check_cross(opened, CROSS)


@pytest.mark.parametrize("kind", ["mixed", "wide"])
def test_batches_follow_each_other(kind: str) -> None:
    bundle = compiled(kind)
    with md.open(bundle) as device:
        for items in (3, 40, 1):
            sparse, dense = inputs(bundle, items, seed=items)
            check(bundle, device.run(sparse, dense), sparse, dense)


def test_idle_items_do_not_overlap(device: Device) -> None:
    sparse, dense = inputs(device.bundle, 10)
    batch = device.run(sparse, dense, mode="idle")
    check(device.bundle, batch, sparse, dense)
    cycle = 1 / device.bundle.config.engine_mhz
    assert (batch.finished_us[1:] - batch.latency[1:] * cycle > batch.finished_us[:-1]).all()
    assert batch.latency.max() - batch.latency.min() < 3


def test_latency_counts_from_the_arrival(device: Device) -> None:
    sparse, dense = inputs(device.bundle, 10)
    idle = np.median(device.run(sparse, dense, mode="idle").latency)  # a refresh may meet one of ten items
    apart = device.run(sparse, dense, mode=np.arange(10) * 1000)
    together = device.run(sparse, dense, mode=np.zeros(10, int))
    check(device.bundle, together, sparse, dense)
    assert abs(np.median(apart.latency) - idle) < 3
    assert together.latency[-1] > together.latency[0] + 5 * together.cycles_per_item


def test_progress_and_counters(device: Device) -> None:
    sparse, dense = inputs(device.bundle, 30)
    reports: list[tuple[int, int]] = []
    device.infer(sparse, dense, progress=lambda done, cycles: reports.append((done, cycles)))
    assert reports == sorted(reports)
    counters = device.counters()
    assert (counters["vectors"], counters["results"], counters["channel_00_reads"]) == (30, 30, 30)
    assert counters["cycles"] <= device.simulator.counters().engine_cycles
    assert counters["latency_p99"] >= counters["latency_p50"] > 0


def test_registers_have_names(device: Device) -> None:
    device.registers["items"] = 77
    assert device.registers["items"] == 77
    assert device.registers["digest"] == int(device.bundle.config.digest[:8], 16)
    assert device.registers["control"] & 4  # idle
    assert {"control", "cycles", "channel_00_stalls"} <= set(device.registers)
    with pytest.raises(InputError, match=r"register must be one of control, .*, not 'itmes'"):
        device.registers["itmes"]


def test_other_weights_need_no_build(device: Device) -> None:
    other = compiled("mixed", seed=1)
    sparse, dense = inputs(other, 20)
    before = device.infer(sparse, dense)
    device.load(other)
    batch = device.run(sparse, dense)
    check(other, batch, sparse, dense)
    assert (before != batch.scores).any()
    with md.open(other) as again:
        assert again.library.cached


def test_allocated_buffers_fit(device: Device) -> None:
    sparse, dense = device.allocate(5)
    assert dense is not None
    given, values = inputs(device.bundle, 5)
    sparse[:], dense[:] = given, values
    check(device.bundle, device.run(sparse, dense), given, values)


def test_closed_device_says_so(device: Device) -> None:
    sparse, dense = inputs(device.bundle, 1)
    device.close()
    device.close()
    calls: list[Callable[[], object]] = [
        lambda: device.infer(sparse, dense),
        lambda: device.load(device.bundle),
        device.counters,
        lambda: device.set_stalls(0.5, seed=1),
        lambda: device.set_faults({}),
    ]
    for call in calls:
        with pytest.raises(DeviceError, match="the device is closed; open the bundle again"):
            call()


def test_bundle_of_another_engine_is_refused(device: Device) -> None:
    with pytest.raises(InputError, match=r"is for engine Wide-fixed16, not Mixed-fixed16"):
        device.load(compiled("wide"))
    sparse, dense = inputs(device.bundle, 2)
    check(device.bundle, device.run(sparse, dense), sparse, dense)


def test_damaged_bundle_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file: not a bundle"):
        md.open(tmp_path)


def changed(column: int, value: int) -> Callable[[np.ndarray, np.ndarray], tuple]:
    def change(sparse: np.ndarray, dense: np.ndarray) -> tuple:
        sparse[2, column] = value
        return sparse, dense

    return change


def with_nan(sparse: np.ndarray, dense: np.ndarray) -> tuple:
    dense[1, 2] = np.nan
    return sparse, dense


WRONG = [
    # what is given, what is said
    (lambda s, d: (s.tolist(), d), "sparse must be a numpy array of int64, not list"),
    (lambda s, d: (s.astype(float), d), "sparse must have dtype int64, not float64"),
    (lambda s, d: (s.astype(np.uint64), d), "sparse must have dtype int64, not uint64"),
    (lambda s, d: (s[:, :5], d), r"sparse must have shape \(items, 6\), not \(4, 5\)"),
    (lambda s, d: (s[0], d), r"sparse must have shape \(items, 6\), not \(6,\)"),
    (lambda s, d: (s[:0], d[:0]), "sparse must hold at least one item, not 0"),
    (changed(ITEM, -1), r"sparse\[2, 1\] must be 0 to 299999 \(feature 1\), not -1"),
    (changed(USER, USERS), r"sparse\[2, 0\] must be 0 to 39 \(feature 0\), not 40"),
    (changed(ITEM, 1 << 40), r"sparse\[2, 1\] must be 0 to 299999"),
    (lambda s, d: (s, None), r"dense must be float32 of shape \(4, 3\), not None"),
    (lambda s, d: (s, d.astype(float)), "dense must have dtype float32, not float64"),
    (lambda s, d: (s, d[:3]), r"dense must have shape \(4, 3\), not \(3, 3\)"),
    (with_nan, r"dense\[1, 2\] must be finite, not nan"),
]


@pytest.mark.parametrize(("give", "message"), WRONG, ids=range(len(WRONG)))
def test_wrong_input_is_refused_before_anything_is_sent(device: Device, give: Callable, message: str) -> None:
    sparse, dense = inputs(device.bundle, 4)
    before = device.simulator.counters().engine_cycles
    with pytest.raises(InputError, match=message) as raised:
        device.infer(*give(sparse.copy(), None if dense is None else dense.copy()))
    assert "\n" not in str(raised.value)
    assert device.simulator.counters().engine_cycles == before


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


def test_interrupted_batch_closes_the_device(device: Device) -> None:
    def interrupt(done: int, cycles: int) -> None:
        raise KeyboardInterrupt

    sparse, dense = inputs(device.bundle, 20_000)
    with pytest.raises(KeyboardInterrupt):
        device.infer(sparse, dense, progress=interrupt)
    with pytest.raises(DeviceError, match="closed"):
        device.infer(sparse, dense)

"""The driver on small engines: every score is the golden model's, and every mistake has a name."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet.device import Device
from microduet.errors import BundleError, DeviceError, InputError
from microduet_hw.status import Status
from microduet_sim.batch import Stalls
from tests.sw.small_engines import ITEM, PRECISIONS, USER, USERS, check, compiled, inputs


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


def test_interrupted_batch_closes_the_device(device: Device) -> None:
    def interrupt(done: int, cycles: int) -> None:
        raise KeyboardInterrupt

    sparse, dense = inputs(device.bundle, 20_000)
    with pytest.raises(KeyboardInterrupt):
        device.infer(sparse, dense, progress=interrupt)
    with pytest.raises(DeviceError, match="closed"):
        device.infer(sparse, dense)

"""The driver's own arithmetic and order of calls, on a double of an engine."""

from types import SimpleNamespace

import numpy as np
import pytest

from microduet.device import Batch
from microduet.errors import DeviceError, InputError
from microduet.gateware import verilog
from microduet.images import table_images
from microduet.shape import ModelShape
from microduet_hw.image import load_beats
from microduet_hw.registers import Register
from microduet_hw.status import Status
from microduet_sim.batch import Fault, Stalls
from tests.sw.engine_double import Double, Doubled, build_nothing, compiled, results_of, sparse_of


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    return build_nothing(monkeypatch)


@pytest.fixture
def device(built: list[tuple]) -> Doubled:
    return Doubled(compiled())


def test_opening_builds_the_engine_of_the_bundle_and_loads_it(built: list[tuple]) -> None:
    bundle, steps = compiled(), []
    device = Doubled(
        bundle, memory="simple", dram={}, structure="flat", wave="vcd", progress=lambda *step: steps.append(step)
    )
    ((given, named),) = built
    named["progress"]("a step")
    assert given == (bundle.config, verilog(bundle.config))
    assert (named.keys(), steps) == ({"structure", "wave", "progress"}, [("a step",)])
    assert (named["structure"], named["wave"]) == ("flat", "vcd")
    engine = device.simulator
    assert isinstance(engine, Double)
    assert (engine.config, engine.library.number, device.backend) == (bundle.config, 1, engine)
    assert engine.rest.keys() == {"tables", "memory", "dram"}
    assert (engine.rest["memory"], engine.rest["dram"]) == ("simple", {})
    assert [type(table) for table in engine.rest["tables"]] == [type(table) for table in table_images(bundle)]
    (beats,) = engine.loaded
    np.testing.assert_array_equal(beats, load_beats(bundle.config, bundle.engine_model, bundle.rows, bundle.user))


def test_what_is_not_said_is_dram_in_a_composite_without_waves(built: list[tuple]) -> None:
    device = Doubled(str(compiled().path))
    assert built[0][1] == {"structure": "composite", "wave": None, "progress": None}
    assert isinstance(device.simulator, Double)
    assert (device.simulator.rest["memory"], device.simulator.rest["dram"]) == ("dram", None)
    assert device.bundle.config == compiled().config
    assert (device.batch, device.status) == (None, [])


@pytest.mark.parametrize("sigmoid", [True, False])
def test_scores_are_those_of_the_results(built: list[tuple], monkeypatch: pytest.MonkeyPatch, sigmoid: bool) -> None:
    bundle = compiled(sigmoid=sigmoid)
    device = Doubled(bundle)
    monkeypatch.setattr(Double, "results", results_of(4, status={2: Status.TIMEOUT}), raising=False)
    scores = device.infer(sparse_of(4))
    logits = np.array([-10, -7, -4, -1])
    floats = np.array([7, 1007, 2007, 3007]) / 65536 if sigmoid else logits * 2.0**-bundle.model.logit_fraction
    wanted = [*floats[:2], np.nan, floats[3]]
    np.testing.assert_array_equal(scores, np.array(wanted, np.float32))
    assert scores.dtype == np.float32
    raw = device.infer(sparse_of(4), raw=True)
    np.testing.assert_array_equal(raw, logits)
    assert raw.dtype == np.int64
    assert device.status == [Status.OK, Status.OK, Status.TIMEOUT, Status.OK]
    assert device.batch is not None
    assert device.batch.status.tolist() == [0, 0, Status.TIMEOUT, 0]


def run(device: Doubled, items: int, **how: object) -> Batch:
    batch = device.run(sparse_of(items), **how)  # type: ignore[arg-type]
    assert device.batch is batch
    return batch


def test_times_are_in_the_engines_cycles(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Double, "results", results_of(3), raising=False)
    mhz = device.bundle.config.engine_mhz
    batch = run(device, 3)
    np.testing.assert_allclose(batch.latency, np.array([2, 3, 4]) * mhz)
    np.testing.assert_allclose(batch.lookup_ns, [250, 250, 250])
    np.testing.assert_allclose(batch.finished_us, [3, 5, 7])
    assert (batch.cycles, batch.seconds) == (4321, 0.75)
    assert batch.cycles_per_item == pytest.approx(2 * mhz)


def test_latency_of_items_that_arrive_counts_from_their_cycle(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine had run 5,000 cycles before the batch."""
    mhz = device.bundle.config.engine_mhz
    begin = round(5000 * 1e6 / mhz)
    monkeypatch.setattr(Double, "results", results_of(3, accepted=begin + 1_000_000), raising=False)
    batch = run(device, 3, mode=np.array([0, 10, 20]))
    np.testing.assert_allclose(batch.latency, np.array([3, 5, 7]) * mhz - [0, 10, 20], atol=1e-3)
    np.testing.assert_allclose(batch.lookup_ns, 250)


def test_an_eighth_at_either_end_is_no_steady_state(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = np.array([5, 6, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40, 43, 90, 95], np.uint64) * 1_000_000
    results = results_of(16)
    results.finished_ps[:] = finished
    monkeypatch.setattr(Double, "results", results, raising=False)
    assert run(device, 16).cycles_per_item == pytest.approx(3 * device.bundle.config.engine_mhz)


def test_one_item_has_no_steady_state(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Double, "results", results_of(1), raising=False)
    assert run(device, 1).cycles_per_item == 4321


def test_a_run_is_started_before_packets_are_sent(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Double, "results", results_of(5), raising=False)

    def progress(done: int, cycles: int) -> None:
        raise AssertionError

    engine = device.simulator
    assert isinstance(engine, Double)
    device.run(sparse_of(5), mode="idle", progress=progress)
    assert engine.log[:2] == [(int(Register.ITEMS), 5), (int(Register.CONTROL), 1)]
    packets, mode, beats, given = engine.log[2]
    np.testing.assert_array_equal(packets, device.bundle.packets(sparse_of(5), None))
    assert (mode, beats, given) == ("idle", None, progress)
    device.infer(sparse_of(5), progress=progress)
    assert engine.log[5][1:] == ("saturated", None, progress)
    results = device.send(packets[:2], beats=[1, 0])
    assert results is Double.results
    assert engine.log[6:8] == [(int(Register.ITEMS), 2), (int(Register.CONTROL), 1)]
    assert engine.log[8][1:] == ("saturated", [1, 0], None)


def test_what_stops_a_simulation_is_an_error_of_the_device(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Double, "broken", "nothing moved")
    for call in (lambda: device.infer(sparse_of(1)), device.reload):
        with pytest.raises(DeviceError, match=r"^nothing moved$"):
            call()


def test_counters_are_named_and_64_bits_wide(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = device.simulator
    assert isinstance(engine, Double)
    assert "latency_p50" not in device.counters()
    for number, address in enumerate(sorted(engine.map.values())):
        if address >= 0x40:
            engine.memory |= {address: number + 1, address + 4: number + 2}
    wanted: dict[str, int] = {}
    for name, address in engine.map.items():
        if address >= 0x40:
            high = 0 if name.startswith("channel_") else engine.read(address + 4)
            wanted[name] = engine.read(address) | high << 32
    assert device.counters() == wanted
    assert any(value >= 1 << 32 for value in wanted.values())
    monkeypatch.setattr(Double, "results", results_of(3), raising=False)
    mhz = device.bundle.config.engine_mhz
    run(device, 3)
    assert device.counters() == wanted | {"latency_p50": round(3 * mhz), "latency_p99": round(3.98 * mhz)}
    assert device.batch is not None
    device.batch.latency[1] = np.nan
    assert device.counters() == wanted


def test_stalls_and_faults_reach_the_simulation(device: Doubled) -> None:
    engine = device.simulator
    assert isinstance(engine, Double)
    device.set_stalls(0.25, seed=9)
    device.set_faults({3: Fault(error_on=1)})
    assert engine.log == [Stalls.everywhere(0.25, seed=9), {3: Fault(error_on=1)}]


def test_a_closed_device_refuses_everything(device: Doubled) -> None:
    device.close()
    device.close()
    assert device.backend.closed
    packets = device.bundle.packets(sparse_of(1), None)
    calls = [
        lambda: device.infer(sparse_of(1)),
        lambda: device.send(packets),
        lambda: device.load(device.bundle),
        device.reload,
        device.check_weights,
        device.counters,
        lambda: device.set_stalls(0.5, seed=1),
        lambda: device.set_faults({}),
    ]
    for call in calls:
        with pytest.raises(DeviceError, match=r"^the device is closed; open the bundle again$"):
            call()


def test_buffers_have_the_models_width(device: Doubled) -> None:
    sparse, dense = device.allocate(4)
    assert (sparse.shape, sparse.dtype, dense) == ((4, 2), np.int64, None)
    assert not sparse.any()
    device.bundle = SimpleNamespace(shape=SimpleNamespace(dense=7, lookups=3))  # type: ignore[assignment]
    sparse, dense = device.allocate(6)
    assert dense is not None
    assert (sparse.shape, dense.shape, dense.dtype) == ((6, 3), (6, 7), np.float32)
    assert not dense.any()


def test_an_engine_for_users_is_asked_queries(device: Doubled) -> None:
    config = SimpleNamespace(user=object(), name="mine")
    device.bundle = SimpleNamespace(config=config)  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"^mine ranks for users: ask it queries, as md.query does$"):
        device.infer(sparse_of(1))


def test_dense_features_are_sent_with_the_ids(device: Doubled, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bundles with them take both; the double's own has none, so one is put in its place."""
    shape = ModelShape.of(device.bundle.config).replace(dense=2)
    asked: list[tuple] = []
    bundle = SimpleNamespace(config=device.bundle.config, shape=shape, model=device.bundle.model)
    bundle.packets = lambda *given: asked.append(given) or np.zeros((3, 16), np.uint32)
    device.bundle = bundle  # type: ignore[assignment]
    monkeypatch.setattr(Double, "results", results_of(3), raising=False)
    dense = np.arange(6, dtype=np.float32).reshape(3, 2)
    device.infer(sparse_of(3), dense)
    ((sparse, sent),) = asked
    np.testing.assert_array_equal(sparse, sparse_of(3))
    np.testing.assert_array_equal(sent, dense)
    with pytest.raises(InputError, match=r"dense must be float32 of shape \(3, 2\), not None"):
        device.infer(sparse_of(3))

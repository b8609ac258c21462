"""The driver on engines whose weights are checked on request: a changed bit is found, wherever it is, and named."""

import functools
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet.boards import find
from microduet.bundle import Bundle
from microduet.device import Device
from microduet.errors import DeviceError, InputError
from microduet.measure import compare
from microduet.placement import place
from microduet.presets import Tuning
from microduet.trace import trace
from microduet.traffic import make_ids
from microduet_hw.check_image import weight_checks
from microduet_hw.config import Array, EngineConfig, Precision
from microduet_hw.image import CHUNK_BYTES, parameter_beats, weight_beats
from microduet_hw.layout import plan_layer
from microduet_hw.loader import Target
from microduet_hw.pe import PAIR_BITS
from microduet_hw.registers import register_map
from microduet_hw.weight_check import WeightCheck
from microduet_sim.simulator import Simulator
from tests.sw.cases import Mixed

PRECISIONS = ["fixed16", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("fixed32", "int8"))]
ARRAYS = {
    # two arrays; rounds that do not fill their array, and PEs that do not fill a step
    "fixed16": (Array(pes=10, lanes=4, drain=3, layers=(0,)), Array(pes=4, lanes=3, drain=3, layers=(1,))),
    # two layers on an array, whose operands are two chunks
    "fixed32": (Array(pes=6, lanes=10, drain=10, layers=(0, 1)),),
    "int8": (Array(pes=8, lanes=4, drain=4, layers=(0, 1)),),
}
PARTS = [f"{kind} of layer {layer}" for kind in ("weights", "parameters") for layer in range(3)] + [
    "the sigmoid's table"
]


@functools.cache
def compiled(precision: str, *, weight_check: bool = True) -> Bundle:
    traced = trace(Mixed())
    plan = place(traced.shape, precision=Precision(precision), board=find("u280"))
    tuning = Tuning(arrays=ARRAYS[precision], weight_check=weight_check)
    folder = Path(tempfile.mkdtemp(prefix="microduet-test-"))
    return md.compile(traced, precision=precision, plan=plan, tuning=tuning, out=folder / "bundle")


@pytest.fixture(params=PRECISIONS)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    with md.open(compiled(request.param)) as opened:
        yield opened


def inputs(bundle: Bundle, items: int) -> tuple[np.ndarray, np.ndarray]:
    sparse = make_ids(bundle.config, items=items, traffic="uniform", seed=3)
    return sparse, np.random.default_rng(3).standard_normal((items, bundle.config.dense), np.float32)


def rows_of(config: EngineConfig, beats: np.ndarray, part: str) -> list[np.ndarray]:
    """The rows of a part as the beats that load them, (chunks, 64) bytes each."""
    kind, _, place = part.rpartition(" of layer ")
    layer = int(place) if kind else 0
    output = layer == len(config.hidden)
    target = {
        "weights": Target.OUTPUT_WEIGHTS if output else Target.WEIGHTS,
        "parameters": Target.OUTPUT_PARAMETERS if output else Target.PARAMETERS,
        "": Target.SIGMOID,
    }[kind]
    raw = beats.view(np.uint8).reshape(-1, 64)
    ends = np.flatnonzero(raw[:, -1]) + 1
    rows = [row for row in np.split(raw, ends[:-1]) if row[0, 62] == target]
    if kind and not output:
        rows = rows_of_layer(config, rows, layer, weights=target is Target.WEIGHTS)
    return rows


def rows_of_layer(config: EngineConfig, rows: list[np.ndarray], layer: int, *, weights: bool) -> list[np.ndarray]:
    """Of rows of all arrays those of a layer, whose array's layers follow each other."""
    ((unit, array),) = ((k, array) for k, array in enumerate(config.arrays) if layer in array.layers)
    plans = [plan_layer(config, number) for number in array.layers]
    counts = [plan.rounds * plan.steps if weights else sum(map(len, plan.drains)) for plan in plans]
    first = sum(counts[: array.layers.index(layer)])
    numbers = range(first, first + counts[array.layers.index(layer)])
    shift = PAIR_BITS + 1 if weights else 0
    return [row for row in rows if int(row[0, 59:61].view("<u2")[0]) >> shift == unit and row[0, 56] in numbers]


def model_beats(bundle: Bundle) -> np.ndarray:
    model = bundle.engine_model
    return np.concatenate([weight_beats(bundle.config, model), parameter_beats(bundle.config, model)])


def flipped(row: np.ndarray, *bits: int) -> np.ndarray:
    """The beats that write a row with bits of its data the other way."""
    changed = row.copy()
    for bit in bits:
        changed[bit // (8 * CHUNK_BYTES), bit // 8 % CHUNK_BYTES] ^= 1 << bit % 8
    return changed.view("<u4")


def bits_of(config: EngineConfig, part: str) -> int:
    """Bits at the beginning of each row of a part that the gateware keeps and a test may change."""
    width = config.precision.width
    if not part.startswith("weights"):
        return 32
    return width * (config.output_lanes if part.endswith("2") else config.arrays[0].lanes if part.endswith("0") else 3)


def test_weights_that_nobody_changed_pass_and_no_score_differs(device: Device) -> None:
    sparse, dense = inputs(device.bundle, 30)
    before = device.run(sparse, dense)
    device.check_weights()
    device.set_stalls(0.5, seed=2)
    device.check_weights()
    device.set_stalls(0.0, seed=0)
    after = device.run(sparse, dense)
    assert after.logits.tolist() == before.logits.tolist()
    assert compare(device.bundle, after, sparse, dense)[1] == 0


def test_a_changed_bit_is_found_and_named_in_every_part(device: Device) -> None:
    seed = random.getrandbits(32)
    print("seed", seed)
    rng, config = random.Random(seed), device.bundle.config
    beats = model_beats(device.bundle)
    for part in PARTS:
        rows = rows_of(config, beats, part)
        for row in rng.sample(rows, min(3, len(rows))):
            device.simulator.load(flipped(row, rng.randrange(bits_of(config, part))))
            with pytest.raises(DeviceError, match=f"^what was loaded has changed: {part}; reload writes it again$"):
                device.check_weights()
            device.simulator.load(flipped(row))
    device.check_weights()


def test_two_changed_bits_of_a_row_of_weights_never_hide_each_other(device: Device) -> None:
    """Those that would, if all operands were alike: the same bit of two lanes, one set and one cleared."""
    config = device.bundle.config
    lanes, width = config.arrays[0].lanes, config.precision.width
    found = 0
    for row in rows_of(config, model_beats(device.bundle), "weights of layer 0"):
        set_ = np.unpackbits(row[:, :CHUNK_BYTES], bitorder="little")[: lanes * width].reshape(lanes, width)
        for bit in range(width):
            one, other = set_[0, bit], set_[lanes - 1, bit]
            if one == other or found == 5:
                continue
            device.simulator.load(flipped(row, bit, (lanes - 1) * width + bit))
            with pytest.raises(DeviceError, match="has changed: weights of layer 0;"):
                device.check_weights()
            device.simulator.load(flipped(row))
            found += 1
    assert found == 5
    device.check_weights()


def test_all_that_has_changed_is_named_and_a_reload_repairs_it(device: Device) -> None:
    beats, config = model_beats(device.bundle), device.bundle.config
    changed = ["parameters of layer 1", "weights of layer 2"]
    for part in changed:
        device.simulator.load(flipped(rows_of(config, beats, part)[0], 7))
    with pytest.raises(DeviceError, match=", ".join(sorted(changed))) as raised:
        device.check_weights()
    assert "\n" not in str(raised.value)
    device.reload()
    device.check_weights()
    sparse, dense = inputs(device.bundle, 20)
    assert compare(device.bundle, device.run(sparse, dense), sparse, dense)[1] == 0


def test_a_check_takes_the_cycles_that_it_should(device: Device) -> None:
    """A beat is taken every ``LATENCY + 1 + steps`` cycles."""
    for check in weight_checks(device.bundle.config, device.bundle.engine_model):
        before = device.simulator.counters().engine_cycles
        device.simulator.load(check.beats)
        found = device.simulator.counters().engine_cycles - before
        asks = int((check.beats.view(np.uint8)[:, -1] > 0).sum())
        due = len(check.beats) + (WeightCheck.LATENCY) * asks + len(check.words)
        assert 16 <= found - due < 24, check.name


def test_check_beats_that_changed_on_the_way_are_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Simulator.load

    def damaged(simulator: Simulator, beats: np.ndarray) -> None:
        changed = beats.copy()
        changed[0, 0] ^= 1
        load(simulator, changed)

    with md.open(compiled("fixed16")) as device:
        monkeypatch.setattr(Simulator, "ask", damaged)
        with pytest.raises(DeviceError, match="the engine took other check beats than were sent: their CRC is"):
            device.check_weights()
        monkeypatch.undo()
        device.check_weights()


def test_an_engine_without_the_check_says_so() -> None:
    bundle = compiled("fixed16", weight_check=False)
    assert "checked" not in register_map(bundle.config)
    assert b"checksum_bits" not in bundle.config.to_json()
    with md.open(bundle) as device, pytest.raises(InputError, match=r"compiled with Tuning\(weight_check=True\)"):
        device.check_weights()


def test_a_closed_device_says_so() -> None:
    with md.open(compiled("fixed16")) as device:
        device.close()
        with pytest.raises(DeviceError, match="the device is closed"):
            device.check_weights()

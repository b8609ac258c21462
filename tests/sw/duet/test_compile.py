"""Bundles of whole models and of items: what they hold, that they are read back whole, and what they refuse."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import microduet as md
from microduet import boards, compiler, model_names, presets, search
from microduet.bundle import FORMAT, Bundle
from microduet.bundle_files import file_digest
from microduet.duet.compile import compilable
from microduet.duet.zoo import DlrmModelSpec
from microduet.errors import BundleError, MicroduetError
from microduet.measure import costs, search_result
from microduet.models import DlrmModel, SplitModel
from microduet.quantise import Calibration
from microduet.queries.questions import query_words
from microduet_hw import places
from microduet_hw.config import Payload, Precision
from tests.sw.duet.engines import DIN, SHALLOW, SMALL, batch, built, item, split_model, whole
from tests.sw.duet.test_engine_golden import edge_users, exact_sums

BOARD = """
name = "four"
dsp = 2000
bram36 = 500
uram = 64

[[channels]]
kind = "hbm"
count = 4
mebibytes = 1
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def board(tmp_path: Path) -> str:
    path = tmp_path / "four.toml"
    path.write_text(BOARD)
    return str(path)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("shape", [SMALL, DIN], ids=["small", "din"])
def test_a_whole_models_bundle_is_its_golden_model(shape: object, precision: str, board: str) -> None:
    found = whole(shape, precision)  # type: ignore[arg-type]
    bundle = md.compile(found.module, board=board, precision=precision)
    assert (bundle.config.spread, bundle.config.bottom) == (2, found.model.shape.bottom)
    sparse, dense = batch(found.module.shape, 30, seed=1)
    np.testing.assert_array_equal(bundle.golden().run(sparse, dense).logits, found.golden.run(sparse, dense).logits)
    assert search_result(bundle).chosen.arrays == bundle.config.arrays
    assert costs(bundle)["multipliers"] == bundle.config.multipliers


@pytest.mark.parametrize("precision", ["fixed16", "int8"])
@pytest.mark.parametrize("shape", [SMALL, DIN, SHALLOW], ids=["small", "din", "shallow"])
def test_an_items_bundle_takes_the_vectors_of_its_edge_unit(shape: object, precision: str, board: str) -> None:
    found = item(shape, "duet", precision)  # type: ignore[arg-type]
    edge = md.compile_edge(found.module)
    bundle = md.compile(found.module, board=board, precision=precision, user=edge)
    assert bundle.user is not None
    assert (bundle.user.version, bundle.user.scale) == (edge.manifest.version, float(edge.model.payload_scale))
    assert bundle.config.user is not None
    assert bundle.config.user.payload is Payload.VECTOR
    sparse, dense = batch(shape, 30, seed=2)  # type: ignore[arg-type]
    payload, _ = edge_users(found, shape, sparse, dense)  # type: ignore[arg-type]
    own = sparse[:, -4:]
    expected = found.golden.run(own, users=payload)
    np.testing.assert_array_equal(bundle.golden().run(own, users=payload).logits, expected.logits)
    one = bundle.golden().run(own, users=payload[3])
    assert one.logits[3] == expected.logits[3]


def test_without_an_edge_bundle_the_models_own_is_made(board: str) -> None:
    model = split_model(SMALL, "duet")
    bundle = md.compile(model, board=board)
    assert bundle.user is not None
    assert bundle.user.version == md.compile_edge(model).manifest.version


@pytest.mark.parametrize("precision", ["fixed16", "int8"])
@pytest.mark.parametrize("shape", [SMALL, DIN], ids=["small", "din"])
def test_an_exact_splits_bundle_computes_what_devices_send(shape: object, precision: str, board: str) -> None:
    found = item(shape, "exact", precision)  # type: ignore[arg-type]
    bundle = md.compile(found.module, board=board, precision=precision)
    sparse, dense = batch(shape, 30, seed=3)  # type: ignore[arg-type]
    sums = bundle.user_sums(sparse[:, :6], dense)
    np.testing.assert_array_equal(sums, exact_sums(found, sparse, dense))
    own = sparse[:, -4:]
    expected = found.golden.run(own, users=sums)
    np.testing.assert_array_equal(bundle.golden().run(own, users=sums).logits, expected.logits)
    assert np.abs(sums).max() < 1 << 31


def test_an_empty_place_of_a_history_adds_nothing(board: str) -> None:
    bundle = md.compile(split_model(DIN, "exact"), board=board, precision="int8")
    empty = np.full((1, 6), -1)
    zero = bundle.exact
    assert zero is not None
    nothing = zero.sums(np.full((1, zero.layer.weights.shape[1]), 128))
    np.testing.assert_array_equal(bundle.user_sums(empty), nothing)


@pytest.mark.parametrize("kind", ["none", "duet", "exact"])
def test_specs_are_read_back_from_the_cache(kind: str, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = built(SMALL, kind).spec
    assert isinstance(spec, DlrmModelSpec)
    first = md.compile(spec, board=board)
    monkeypatch.setattr("microduet.compiler._compilable", None)
    assert md.compile(spec, board=board).path == first.path


def test_names_and_descriptions_are_found(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(SMALL.to_json())
    assert compiler.shape_of(str(path)).bottom == 2
    assert compiler.shape_of("rm5-duet").name == "rm5-duet"
    assert compiler.shape_of("microrec-small-exact").user is not None
    assert compiler.shape_of("microrec-small").user is None
    assert {"rm1", "rm4-exact", "microrec-small-duet"} <= set(model_names.NAMES)


def test_ranges_come_from_the_calibration(board: str) -> None:
    model = split_model(SMALL, "duet")
    sparse, dense = batch(SMALL, 50)
    assert dense is not None
    wide = md.compile(model, board=board, calibration=(sparse, 40 * dense))
    assert wide.manifest.layers[-1].step > md.compile(model, board=board).manifest.layers[-1].step


def test_item_packets_say_which_query_they_are_of(board: str) -> None:
    bundle = md.compile(split_model(DIN, "exact"), board=board)
    sparse, _ = batch(DIN, 3)
    queries = query_words(3, number=500, slot=5, scores=True)
    packets = bundle.packets(sparse[:, -4:], queries=queries)
    assert packets[:, 0].tolist() == [0, 1, 2]
    assert packets[:, 1].tolist() == [500 | 5 << 16 | 1 << 22] * 2 + [500 | 5 << 16 | 3 << 22]
    assert bundle.packets(sparse[:, -4:])[:, 1].tolist() == [0, 0, 0]


Damage = Callable[[dict], object]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda manifest: manifest.pop("user"), "says nothing of users, its engine takes user vectors"),
        (lambda manifest: manifest["user"].update(shift=64), "shift 64, version"),
        (lambda manifest: manifest["user"].update(version=1 << 32), "is out of range"),
        (lambda manifest: manifest.update(format=2), f"bundle format must be {FORMAT}, not 2"),
        (lambda manifest: manifest["layers"].append(manifest["layers"][0]), "cannot be read"),
    ],
)
def test_refuses_a_bundle_whose_users_do_not_fit(damage: Damage, message: str, board: str, tmp_path: Path) -> None:
    path = md.compile(split_model(DIN, "duet"), board=board, out=tmp_path / "b").path
    manifest = msgspec.json.decode((path / "manifest.json").read_bytes())
    damage(manifest)
    (path / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(BundleError, match=message):
        Bundle.read(path)


def test_refuses_user_weights_of_another_shape(board: str, tmp_path: Path) -> None:
    path = md.compile(split_model(DIN, "duet"), board=board, out=tmp_path / "b").path
    with np.load(path / "weights.npz") as arrays:
        changed = {name: arrays[name] for name in arrays} | {"user_weights": np.zeros((1, 1), np.int16)}
    np.savez(path / "weights.npz", **changed)  # type: ignore[arg-type]
    manifest = msgspec.json.decode((path / "manifest.json").read_bytes())
    manifest["files"]["weights.npz"] = file_digest(path / "weights.npz")
    (path / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(BundleError, match=r"user weights must be \(12, 12\), not \(1, 1\)"):
        Bundle.read(path)


def model(kind: str) -> DlrmModel | SplitModel:
    return built(SMALL, kind)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda board: md.compile(model("duet"), precision="fixed32", board=board), "fixed16 or int8, not fixed32"),
        (lambda board: md.compile(model("exact"), precision="fixed32", board=board), "fixed16 or int8, not fixed32"),
        (lambda board: md.compile(model("none"), user=md.compile_edge(model("duet")), board=board), "only the items"),
        (lambda board: md.compile("microrec-small", user=md.compile_edge(model("duet"))), "user must be None for a"),
        (lambda board: md.compile(model("duet"), user=md.compile_edge("rm5-edge"), board=board), "of model rm5"),
        (lambda board: compilable(model("duet"), calibration=Calibration(sparse=batch(SMALL, 9)[0])), "dense must be"),
        (lambda board: compilable(model("duet"), calibration=(np.full((1, 10), -1), np.zeros((1, 8), np.float32))),
         "ids of feature 2 must be 0 to 69"),
        (lambda board: md.compile(model("none"), board=board).user_sums(np.zeros((1, 6), np.int64)), "exact split"),
        (lambda board: md.compile("rm6"), "model must be microrec-small, .*rm1-duet.* not 'rm6'"),
        (lambda board: md.compile("none.json"), "none.json: No such file"),
        (lambda board: md.compile("none.pt"), "none.pt: there is no such checkpoint"),
    ],
)  # fmt: skip
def test_says_what_it_does_not_take(call: Callable[[str], object], message: str, board: str) -> None:
    with pytest.raises(MicroduetError, match=message):
        call(board)


@pytest.mark.parametrize(
    ("name", "mode", "slots"),
    [
        ("rm1-duet", "spread", 32),
        ("rm2-duet", "spread", 8),
        ("rm3-duet", "spread", 32),
        ("rm1-duet", "best", 16),
        ("rm3-duet", "best", 16),
        ("rm4-duet", "best", 8),
        ("rm5-duet", "best", 16),
        ("microrec-small", "best", 4),
    ],
)
def test_engines_of_little_arithmetic_have_more_items_in_flight(name: str, mode: str, slots: int) -> None:
    shape = model_names.engine_shape(model_names.find(name))
    assert presets.compile_config(shape, mode=mode).vector_slots == slots


def test_waiting_items_of_rm5_go_on_as_fast_as_the_multipliers_allow() -> None:
    shape = model_names.engine_shape(model_names.find("rm5-duet"))
    config = presets.compile_config(shape)
    best = search.search(shape, precision=config.precision, board=boards.find("u280")).chosen
    assert config.user is not None
    assert (best.cycles, best.behind, config.output_lanes, config.user.lanes) == (3, 2, 40, 64)
    assert config.multipliers + config.output_lanes + config.user.lanes <= 4608 + 32


@pytest.mark.parametrize(
    ("name", "inputs", "results"),
    [("microrec-small", [2], 8), ("rm3-duet", [2, 4], 8), ("rm4-duet", [2, 2], 8), ("rm5-duet", [2, 2], 16)],
)
def test_places_follow_from_the_cycles_per_item(name: str, inputs: list[int], results: int) -> None:
    config = presets.compile_config(model_names.engine_shape(model_names.find(name)))
    assert [places.input_places(config, number) for number in range(len(config.arrays))] == inputs
    assert places.result_places(config) == results

"""The golden model against plain Python integers, the gateware's own references, and floats within a derived bound."""

import ast
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from microduet import golden as golden_module
from microduet import golden_math
from microduet.bounds import error_bounds, golden_values
from microduet.generated import GeneratedTable
from microduet.golden import Golden
from microduet.golden_math import ExactProduct, generated_rows, shift_half_even, sigmoid_scores
from microduet.models import microrec_small
from microduet.presets import compile_config
from microduet.quantisation import InputQuantisation
from microduet.shape import ModelShape, concatenated
from microduet_hw import reference
from microduet_hw.config import EngineConfig, Layer, Precision
from microduet_hw.quantised import QuantisedLayer, QuantisedModel
from tests.sw import arithmetic
from tests.sw.cases import Mixed, batch, engine

PRECISIONS = [precision.value for precision in Precision]
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "generated_rows.json").read_text())["vectors"]


def random_layer(
    generator: np.random.Generator, inputs: int, outputs: int, precision: Precision, *, relu: bool, last: bool
) -> QuantisedLayer:
    """Weights and biases from edge to edge, so that some outputs saturate and some round a tie."""
    edge = (1 << (precision.width - 1)) - 1
    weights = generator.integers(-edge, edge + 1, (outputs, inputs))
    weights[generator.random(weights.shape) < 0.1] = edge
    if precision is Precision.INT8:
        zero = 0 if last else int(generator.integers(0, 256))
        return QuantisedLayer(
            weights=weights,
            bias=generator.integers(-(1 << 20), 1 << 20, outputs),
            relu=relu,
            multiplier=(generator.random(outputs) * 2.0 ** -generator.integers(2, 12, outputs)).astype(np.float32),
            input_zero_point=int(generator.integers(0, 256)),
            output_zero_point=zero,
        )
    bias = generator.integers(-(1 << (2 * precision.width - 3)), 1 << (2 * precision.width - 3), outputs)
    return QuantisedLayer(weights=weights, bias=bias, relu=relu, shift=precision.width + int(generator.integers(-2, 5)))


def random_engine(precision: Precision, seed: int) -> tuple[EngineConfig, QuantisedModel, np.ndarray]:
    generator = np.random.default_rng(seed)
    _, config, _, _ = engine(precision=precision)
    layers = tuple(
        random_layer(generator, layer.inputs, layer.outputs, precision, relu=layer.relu, last=k == len(config.hidden))
        for k, layer in enumerate(config.layers)
    )
    fraction = int(generator.integers(8, 14)) + precision.logit_width - 16
    low, high = InputQuantisation(precision=precision).bounds
    vectors = generator.integers(low, high + 1, (7, config.vector_elements))
    vectors[0], vectors[1] = low, high
    return config, QuantisedModel(layers=layers, logit_fraction=fraction), vectors


def golden_of(config: EngineConfig, model: QuantisedModel) -> Golden:
    tables = [GeneratedTable(rows=f.rows, dim=f.dim) for f in config.features]
    return Golden(config=config, model=model, input=InputQuantisation(precision=config.precision), tables=tables)


def test_shares_nothing_with_the_gateware_but_configuration_and_weights() -> None:
    allowed = {"microduet_hw.config", "microduet_hw.quantised"}
    for module in (golden_module, golden_math):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name for name in imported if name.startswith("microduet_")} <= allowed


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_layer_equals_plain_integers(precision: str, seed: int) -> None:
    config, model, vectors = random_engine(Precision(precision), seed)
    result = golden_of(config, model).run_vectors(vectors)
    width = config.precision.width
    for item, vector in enumerate(vectors.tolist()):
        values = vector
        for number, layer in enumerate(model.layers):
            last = number == len(config.hidden)
            bits = config.precision.logit_width if last else width
            values = arithmetic.layer(layer, values, width=bits, logit=last)
            assert values == ([result.logits[item]] if last else result.layers[number][item].tolist())
        expected = arithmetic.score16(
            values[0], logit_width=config.precision.logit_width, logit_fraction=model.logit_fraction
        )
        assert result.scores16[item] == expected


@pytest.mark.parametrize("precision", PRECISIONS)
def test_equals_the_gatewares_reference(precision: str) -> None:
    for seed in range(100, 104):
        config, model, vectors = random_engine(Precision(precision), seed)
        result = golden_of(config, model).run_vectors(vectors)
        logits, scores = reference.scores(config, model, vectors)
        np.testing.assert_array_equal(result.logits, logits)
        np.testing.assert_array_equal(result.scores16, scores)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_generated_rows_equal_the_shared_vectors(precision: str) -> None:
    for vector in VECTORS:
        names = ("dim", "seed", "table", "amplitude_log2")
        table = GeneratedTable(rows=1 << 33, **{name: vector[name] for name in names})
        entry = vector[precision]
        scale = {"scale": entry["scale"]} if precision == "int8" else {"fraction": entry["fraction"]}
        quantisation = InputQuantisation(precision=Precision(precision), **scale)
        assert generated_rows(table, torch.tensor(vector["rows"])).tolist() == vector["integers"]
        assert quantisation.generated(table, np.array(vector["rows"])).tolist() == entry["rows"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_vectors_are_exact_sums_saturated_once(precision: str) -> None:
    model, config, quantised, golden = engine(precision=precision)
    sparse, dense = batch(model, 9)
    vectors = golden.vectors(sparse, dense)
    scale, zero = quantised.input, quantised.input.zero_point
    column = 0
    for feature, table in zip(config.features, model.tables, strict=True):
        for item in range(len(sparse)):
            total = np.zeros(feature.dim, np.int64)
            for row in sparse[item, column : column + feature.lookups]:
                values = (
                    np.array([arithmetic.generated(table, int(row), c) for c in range(feature.dim)])
                    * 2.0**-table.fraction
                    if isinstance(table, GeneratedTable)
                    else table.weight.detach().numpy()[row]
                )
                total += scale.integers(values) - zero
            expected = np.clip(total + zero, *scale.bounds)
            assert vectors[item, feature.position : feature.position + feature.dim].tolist() == expected.tolist()
        column += feature.lookups
    where = slice(config.dense_position, config.dense_position + config.dense)
    np.testing.assert_array_equal(vectors[:, where], scale.integers(dense))


def test_pooling_saturates_after_the_last_row_only() -> None:
    model, config, quantised, _ = engine()
    rows = np.zeros((300, 5), np.int64)
    rows[0], rows[1] = 30000, -30000
    tables = [rows if f.lookups > 1 else GeneratedTable(rows=f.rows, dim=f.dim) for f in config.features]
    golden = Golden(config=config, model=quantised.model, input=quantised.input, tables=tables)
    sparse, dense = batch(model, 2)
    sparse[:, 2:] = [[0, 0, 1, 1], [0, 0, 0, 1]]
    place = config.features[2].position
    assert golden.vectors(sparse, dense)[:, place].tolist() == [0, 32767]


@pytest.mark.parametrize("places", [0, 1, 15, 16, 28, 29, 31, 32, 33, 40, 47, 60, 63])
def test_fixed32_sums_are_exact_for_every_shift(places: int) -> None:
    generator = np.random.default_rng(places)
    edge = (1 << 31) - 1
    weights = generator.integers(-edge, edge + 1, (6, 50)) >> generator.integers(0, 31, (6, 50))
    values = generator.integers(-edge - 1, edge + 1, (40, 50)) >> generator.integers(0, 31, (40, 1))
    weights[0], values[0], values[1] = edge, edge, -edge - 1
    bias = generator.integers(-(1 << 62), 1 << 62, 6) >> generator.integers(0, 62, 6)
    product = ExactProduct(torch.from_numpy(weights), torch.from_numpy(bias), limbs=True)
    result = product.shifted(torch.from_numpy(values), places).clamp(-(1 << 31), edge)
    totals = values.astype(object) @ weights.T.astype(object) + bias.astype(object)
    expected = [[arithmetic.fixed_output(t, shift=places, width=32, relu=False) for t in row] for row in totals]
    assert result.tolist() == expected


def test_ties_go_to_even() -> None:
    values = torch.tensor([-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6])
    assert shift_half_even(values, 1).tolist() == [-3, -2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2, 3]
    assert shift_half_even(values, 2).tolist() == [-2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize("fraction", [6, 9, 11, 15])
def test_sigmoid_is_monotone_and_within_its_bound(fraction: int) -> None:
    logits = torch.arange(-32768, 32768)
    scores = sigmoid_scores(logits, fraction)
    assert (scores.diff() >= 0).all()
    exact = 65536 * torch.sigmoid(logits.double() * 2.0**-fraction)
    step = 2.0 ** (4 - fraction)
    assert (scores - exact).abs().max() <= 2 + 65536 * step**2 / 8 * 0.0963


def test_int8_accumulators_round_to_single_precision_first() -> None:
    """2^24 + 2^9 + 1 loses its last bit, so that half of 2^-10 of it is a tie."""
    layer = QuantisedLayer(
        weights=np.full((1, 1), 127),
        bias=np.array([(1 << 24) + (1 << 9) + 1 - 127]),
        relu=False,
        multiplier=np.array([2.0**-10], np.float32),
    )
    model = ModelShape(name="t", features=concatenated([(4, 1, 1)]), hidden=(), output=Layer(inputs=1, outputs=1))
    config = compile_config(model, precision="int8")
    golden = golden_of(config, QuantisedModel(layers=(layer,), logit_fraction=10))
    assert golden.run_vectors(np.array([[1]])).logits.tolist() == [16384]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("module", [Mixed(), Mixed(seed=1, outputs=2, sigmoid=False), microrec_small()])
def test_differs_from_float_by_no_more_than_the_derived_bound(module: torch.nn.Module, precision: str) -> None:
    model, _, quantised, golden = engine(module, precision=precision)
    sparse, dense = batch(model, 500, seed=1)
    result = golden.run(sparse, dense)
    vector = model.vector(sparse, dense)
    outputs = model.layers(vector)
    bounds = error_bounds(model, quantised, result, vector, outputs)
    values = golden_values(quantised, result)
    for number, exact in enumerate(outputs):
        error = np.abs(values[number + 1] - exact.numpy())
        assert (error <= bounds.layers[number]).all()
        repeated = model.layer(number, torch.from_numpy(values[number])).numpy()
        assert (np.abs(values[number + 1] - repeated) <= bounds.local[number]).all()
        assert rms(error) < 1.5 * rms(bounds.deviations[number])
    scores = torch.sigmoid(outputs[-1][:, 0]).numpy()
    assert (np.abs(result.scores - scores) <= bounds.scores).all()


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


@pytest.mark.parametrize(("precision", "tolerance"), [("fixed16", 1e-3), ("fixed32", 2e-4), ("int8", 0.08)])
def test_scores_stay_close_to_the_torch_module(precision: str, tolerance: float) -> None:
    module = microrec_small(seed=3)
    model, _, _, golden = engine(module, precision=precision)
    sparse, _ = batch(model, 300)
    with torch.no_grad():
        expected = module(torch.from_numpy(sparse)).numpy()
    np.testing.assert_allclose(golden.run(sparse).scores, expected, atol=tolerance)


def test_rejects_weights_that_are_not_symmetric() -> None:
    config, model, _ = random_engine(Precision.FIXED16, 0)
    model.layers[0].weights[0, 0] = -32768
    with pytest.raises(AssertionError, match="symmetric"):
        golden_of(config, model)


def test_rejects_weights_of_another_shape() -> None:
    config, model, _ = random_engine(Precision.FIXED16, 0)
    layers = (dataclasses.replace(model.layers[0], weights=model.layers[0].weights[:, 1:]), *model.layers[1:])
    with pytest.raises(AssertionError, match="weights are"):
        golden_of(config, QuantisedModel(layers=layers, logit_fraction=11))

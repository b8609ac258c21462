"""The int8 arithmetic is PyTorch's under qnnpack, on every value; other engines depend on the CPU."""

import itertools

import numpy as np
import pytest
import torch

from microduet.duet.users import random_users
from microduet.golden_math import scaled
from microduet_hw.config import Precision
from microduet_hw.image import split_multiplier
from microduet_hw.pe import PeShape
from microduet_hw.requantiser import RequantiserShape
from tests.sw.duet.quantised_linear import SINGLE, Case, Layer, engine, random_layer, torch_outputs
from tests.sw.duet.users import NAMES, golden, quantised

SHAPES = [(1600, 96), (256, 1920), (1920, 768), (54, 120)]
"""The user's layers of RM2, RM4 (both) and RM5."""
SPREADS = ["small", "wide", "ties", "full"]


def cases(outputs: int) -> list[Case]:
    """Every kind of layer, each with about as many outputs as given."""
    return [
        Case(inputs=i, outputs=o, items=-(-outputs // o), per_channel=channel, relu=relu, spread=spread)
        for (i, o), channel, relu, spread in itertools.product(SHAPES, (False, True), (False, True), SPREADS)
    ]


def compare(all_cases: list[Case]) -> None:
    """Run cases under qnnpack; print and check what they covered."""
    seen = dict.fromkeys(("outputs", "beyond 2^24", "ties", "inside the range", "lowest", "highest"), 0)
    for seed, case in enumerate(all_cases):
        layer = random_layer(case, seed)
        totals, multiplier = layer.totals, layer.multiplier
        assert (multiplier < 1).all()
        expected = layer.expected(totals, multiplier)
        with engine("qnnpack"):
            found = torch_outputs(layer)
        wrong = np.argwhere(found != expected)
        assert not len(wrong), (
            f"{case}, seed {seed}: {len(wrong)} differ, first {wrong[0]} of {totals[tuple(wrong[0])]}"
        )
        real = np.abs(totals.astype(np.float64) * multiplier)
        seen["outputs"] += found.size
        seen["beyond 2^24"] += int((np.abs(totals) >= SINGLE).sum())
        seen["ties"] += int((real % 1 == 0.5).sum())
        seen["inside the range"] += int(((found > 0) & (found < 255)).sum())
        seen["lowest"] += int((found == 0).sum())
        seen["highest"] += int((found == 255).sum())
    print(f"seeds 0 to {len(all_cases) - 1}; " + ", ".join(f"{name} {count:,}" for name, count in seen.items()))
    assert seen["beyond 2^24"] > seen["outputs"] / 50
    assert seen["ties"] > 1000
    assert seen["inside the range"] > seen["outputs"] / 4
    assert min(seen["lowest"], seen["highest"]) > 100


def test_a_million_outputs_equal_qnnpacks() -> None:
    compare(cases(1_000_000 // len(cases(1))))


@pytest.mark.nightly
def test_ten_million_outputs_equal_qnnpacks() -> None:
    compare(cases(12_000_000 // len(cases(1))))


def test_qnnpack_multiplies_by_the_reciprocal_of_the_outputs_scale() -> None:
    """f32(s_in s_w) / s_out, one division, is another multiplier in the last place, and rounds some sums otherwise."""
    case = Case(inputs=256, outputs=1920, items=200, per_channel=True, relu=True, spread="wide")
    differ = outputs = 0
    for seed in range(4):
        layer = random_layer(case, seed)
        divided = layer.unit / layer.scale
        with engine("qnnpack"):
            found = torch_outputs(layer)
        assert np.array_equal(found, layer.expected(layer.totals, layer.multiplier))
        differ += int((found != layer.expected(layer.totals, divided)).sum())
        outputs += found.size
        np.testing.assert_array_max_ulp(divided, layer.multiplier, maxulp=2)
    print(f"seeds 0 to 3: with a division {differ} of {outputs:,} outputs differ")
    assert differ > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_user_models_payload_is_that_of_pytorchs_layers(name: str) -> None:
    """Pooled histories and bottom outputs as float32 through quantize_per_tensor and the quantised layers."""
    model, config, user = quantised(name)
    result = golden(model, config, user, random_users(model, users=40, seed=8))
    edge, scale = user.model, user.scale
    pieces = [np.ldexp(result.sums.astype(np.float32), -user.elements.fraction)]
    for stack, outputs in ((user.static, result.static), (user.dynamic, result.dynamic)):
        if stack is not None:
            pieces.append(np.ldexp(outputs[-1].astype(np.float32), -stack.fractions[-1]))
    vector = np.concatenate(pieces, 1)
    x = torch.from_numpy(vector) * (torch.tensor(1.0) / torch.tensor(scale, dtype=torch.float32))
    x = (x.round() + edge.zero_point).clamp(0, 255).numpy().astype(np.uint8)
    assert np.array_equal(x, result.inputs)
    for layer, weight_steps, step, expected in zip(
        edge.top, user.weight_steps, user.top_steps, result.top, strict=True
    ):
        as_torch = Layer(
            x=x,
            x_scale=np.float32(scale),
            x_zero=layer.input_zero_point,
            weights=layer.weights,
            weight_scales=weight_steps.astype(np.float32),
            bias=layer.bias,
            scale=np.float32(step),
            zero=layer.output_zero_point,
            relu=True,
        )
        assert layer.multiplier is not None
        np.testing.assert_array_equal(as_torch.multiplier, layer.multiplier)
        with engine("qnnpack"):
            found = torch_outputs(as_torch)
        assert np.array_equal(found, expected)
        x, scale = found.astype(np.uint8), step


@pytest.mark.parametrize("name", ["fbgemm", "x86", "onednn"])
def test_other_engines_run_and_are_counted(name: str) -> None:
    """For information: they saturate or round otherwise on some CPUs, so no number of equal outputs is asserted."""
    if name not in torch.backends.quantized.supported_engines:
        pytest.skip(f"this PyTorch has no {name}")
    differ = outputs = 0
    for seed, case in enumerate(cases(8000)):
        layer = random_layer(case, seed)
        with engine(name):
            found = torch_outputs(layer)
        assert found.shape == layer.totals.shape
        differ += int((found != layer.expected(layer.totals, layer.multiplier)).sum())
        outputs += found.size
    print(f"{name}: {differ:,} of {outputs:,} outputs differ from qnnpack's formula on this CPU")


def mantissa_mode(bits: int) -> RequantiserShape:
    """The gateware's reference, its outputs wide enough to show every value."""
    pe = PeShape(precision=Precision.INT8, lanes=1, rows=1, terms=8)
    return RequantiserShape(pe=pe, lanes=1, bias_bits=32, width=bits, signed=True)


@pytest.mark.parametrize("bits", [32, 40])
def test_equals_the_gatewares_reference_and_single_precision(bits: int) -> None:
    """Sums of every size: int8's 32 bits, and the 40 bits of long histories' sums."""
    rng = np.random.default_rng(bits)
    limit = 1 << (bits - 1)
    shape = mantissa_mode(bits + 1)
    for m in (
        2.0**-40,
        2.0**-17,
        3 * 2.0**-19,
        2.0**-2,
        0.3,
        0.99999994,
        *rng.random(6) * 2.0 ** -rng.integers(1, 30, 6),
    ):
        multiplier = np.float32(m)
        totals = rng.integers(-limit, limit, 400) >> rng.integers(0, bits - 1, 400)
        beside = np.rint((rng.integers(0, 255, 400) + 0.5) / np.float64(multiplier)).clip(-limit, limit - 1)
        near = SINGLE + np.arange(-8, 9)
        values = np.concatenate([totals, beside.astype(np.int64), near, -near, [0, limit - 1, -limit]])
        values = values.clip(-limit, limit - 1)
        found = scaled(torch.from_numpy(values), torch.tensor(multiplier)).numpy()
        single = np.rint(values.astype(np.float32) * multiplier).astype(np.int64)
        mantissa, exponent = split_multiplier(multiplier)
        reference = [shape.compute(int(v), shift=exponent, relu=False, mantissa=mantissa) for v in values]
        assert found.tolist() == single.tolist() == reference

"""PyTorch's quantised linear layers beside the integers that they should compute."""

import dataclasses
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch

from microduet.golden_math import scaled

SINGLE = 1 << 24
"""Accumulators of this size and more are not exact in single precision."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One layer and a batch.

    Members
    -------
    spread : of the accumulators: "small" stay near zero, "wide" reach the largest that 8 bits allow, on both sides of
        2^24 where there are inputs enough, "ties" are those with few low bits and scales that are powers of two, "full"
        are nothing but extremes
    """

    inputs: int
    outputs: int
    items: int
    per_channel: bool
    relu: bool
    spread: str

    def __str__(self) -> str:
        kind = "channel" if self.per_channel else "tensor"
        return f"{self.inputs}-{self.outputs}-{kind}-{'relu' if self.relu else 'linear'}-{self.spread}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """Integers and scales of a case; `unit` is f32(s_in s_w) per output."""

    x: np.ndarray
    x_scale: np.float32
    x_zero: int
    weights: np.ndarray
    weight_scales: np.ndarray
    bias: np.ndarray
    scale: np.float32
    zero: int
    relu: bool

    @property
    def unit(self) -> np.ndarray:
        return self.x_scale * self.weight_scales

    @property
    def multiplier(self) -> np.ndarray:
        """``f32(s_in s_w) f32(1 / s_out)``: qnnpack takes the reciprocal of the output's scale first."""
        return self.unit * (np.float32(1) / self.scale)

    @property
    def totals(self) -> np.ndarray:
        """Accumulators, int64 (items, outputs): exact, all partial sums are below 2^53."""
        products = (self.x.astype(np.float64) - self.x_zero) @ self.weights.T.astype(np.float64)
        return products.astype(np.int64) + self.bias

    def expected(self, totals: np.ndarray, multiplier: np.ndarray) -> np.ndarray:
        """The formula, in integers."""
        values = scaled(torch.from_numpy(totals), torch.from_numpy(multiplier)).numpy() + self.zero
        return np.clip(values, self.zero if self.relu else 0, 255)


def random_layer(case: Case, seed: int) -> Layer:
    rng = np.random.default_rng(seed)
    count = case.outputs if case.per_channel else 1
    x_zero, zero = int(rng.integers(0, 256)), 0 if case.relu else int(rng.integers(0, 256))
    bias = rng.integers(-(1 << 9), 1 << 9, case.outputs)
    x = rng.integers(0, 256, (case.items, case.inputs)).astype(np.uint8)
    weights = rng.integers(-127, 128, (case.outputs, case.inputs))
    if case.spread != "small":
        # Items from dark to bright and weights of one sign per output: sums of every size, both signs.
        x_zero = int(rng.choice([0, 255]))
        level = rng.random((case.items, 1))
        x = np.where(rng.random(x.shape) < level, 255, x)
        weights = np.where(np.arange(case.outputs)[:, None] % 2, -1, 1) * np.abs(weights)
    if case.spread == "full":
        weights = np.sign(weights + 0.5).astype(np.int64) * 127
        x = np.repeat(rng.choice([0, 255], (case.items, 1)), case.inputs, axis=1)
    if case.spread == "ties":  # all products are multiples of 2^11
        x, x_zero, weights, bias = (
            x // 64 * 64,
            x_zero // 64 * 64,
            np.trunc(weights / 32).astype(np.int64) * 32,
            bias << 11,
        )
    x_scale = np.float32(2.0**-7 if case.spread == "ties" else rng.uniform(0.001, 0.1))
    scales = np.full(count, 2.0**-6) if case.spread == "ties" else rng.uniform(0.001, 0.01, count)
    layer = Layer(
        x=x.astype(np.uint8),
        x_scale=x_scale,
        x_zero=x_zero,
        weights=weights,
        weight_scales=np.broadcast_to(scales.astype(np.float32), case.outputs),
        bias=bias,
        scale=np.float32(1),
        zero=zero,
        relu=case.relu,
    )
    reach = float(np.abs(layer.totals * layer.unit.astype(np.float64)).max())
    scale = reach / 200
    scale = 2.0 ** np.ceil(np.log2(scale)) if case.spread == "ties" else scale
    return dataclasses.replace(layer, scale=np.float32(max(scale, 1.001 * float(layer.unit.max()))))


@contextmanager
def engine(name: str) -> Generator[None]:
    """PyTorch's quantised kernels called `name`, for a while."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = name
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def torch_outputs(layer: Layer) -> np.ndarray:
    """What PyTorch's layer gives under the engine of the moment, int64 (items, outputs)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # quantised tensors are deprecated, their kernels still run
        make = torch._make_per_tensor_quantized_tensor
        x = make(torch.from_numpy(layer.x), float(layer.x_scale), layer.x_zero)
        integers = torch.from_numpy(layer.weights.astype(np.int8))
        scales = layer.weight_scales.astype(np.float64)
        if layer.weight_scales.strides[0]:
            zeros = torch.zeros(len(scales), dtype=torch.int64)
            weights = torch._make_per_channel_quantized_tensor(integers, torch.from_numpy(scales), zeros, 0)
        else:
            weights = make(integers, float(scales[0]), 0)
        bias = torch.from_numpy((layer.bias * layer.unit.astype(np.float64)).astype(np.float32))
        packed = torch.ops.quantized.linear_prepack(weights, bias)
        linear = torch.ops.quantized.linear_relu if layer.relu else torch.ops.quantized.linear
        return linear(x, packed, float(layer.scale), layer.zero).int_repr().numpy().astype(np.int64)

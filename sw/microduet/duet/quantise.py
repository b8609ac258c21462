"""From a split model's float user part to the integers of an edge unit (Duet, section 5.2): post-training, static."""

import dataclasses
import hashlib

import numpy as np
import numpy.typing as npt
import torch

from microduet.duet.configure import histories
from microduet.duet.users import (
    UserBatch,
    check_batch,
    float_layers,
    random_users,
    user_rows,
    user_tables,
    user_vector,
)
from microduet.errors import InputError, ModelError
from microduet.models.layers import linears
from microduet.models.split import SplitModel
from microduet.quantisation import InputQuantisation
from microduet.quantise_layer import (
    check_accumulator,
    check_finite,
    fixed_layer,
    fraction,
    int8_layer,
    output_fraction,
    output_scale,
)
from microduet.traced import Table, peak
from microduet_hw.config import Precision
from microduet_hw.edge.model import EdgeModel
from microduet_hw.quantised import QuantisedLayer

SMALLEST_MULTIPLIER = np.float32(2.0**-40)
"""What the quantiser's 24-bit mantissa and 6-bit exponent can still hold."""
WIDTH = Precision.FIXED16.width


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedStack:
    """A bottom MLP in fixed16: its input's fraction bits, then every layer's, and those of the weights."""

    layers: tuple[QuantisedLayer, ...]
    fractions: tuple[int, ...]
    weight_fractions: tuple[int, ...]

    @property
    def input(self) -> InputQuantisation:
        """Scale of what the MLP reads: static inputs or a context."""
        return InputQuantisation(precision=Precision.FIXED16, fraction=self.fractions[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantisedUser:
    """A quantised user model and what its integers stand for.

    Members
    -------
    model : what an edge unit is loaded with
    elements : scale of the histories' elements
    static, dynamic : the bottom MLPs, None for a model without
    scale : float32 value, of the top MLP's input; its zero point is `model.zero_point`
    top_steps : what one unit of each top layer's output stands for; the last is the payload's
    weight_steps : per top layer float64 (outputs,), what one unit of a weight stands for
    """

    model: EdgeModel
    elements: InputQuantisation
    static: FixedStack | None
    dynamic: FixedStack | None
    scale: float
    top_steps: tuple[float, ...]
    weight_steps: tuple[npt.NDArray[np.float64], ...]


def quantise_user(
    model: SplitModel, *, element_bits: int = 32, batch: UserBatch | None = None, version: int | None = None
) -> QuantisedUser:
    """Integers of the user's part of `model`, a `duet` split.

    Histories and their sums are fixed point with one fraction for all tables; both bottom MLPs are fixed16 and end in
    one fraction; the top MLP is int8: quint8 activations per tensor, qint8 weights per output channel.

    Parameters
    ----------
    element_bits : of an element of a history, 16 or 32
    batch : users who show the ranges; by default 512 with uniform ids
    version : uint32 that messages must carry; by default 32 bits of a hash of all integers

    Raises
    ------
    ModelError
        If the split is not Duet's, a weight is not finite, or an int8 accumulator could overflow.
    InputError
        If the batch has the wrong shape or is not finite, or an argument is out of its range.
    """
    if model.split.kind != "duet":
        raise ModelError(f"{model.name}: an edge unit computes a duet split, not {model.split.kind!r}")
    if element_bits not in (16, 32):
        raise InputError(f"element_bits must be 16 or 32, not {element_bits!r}")
    if version is not None and not 0 <= version < 1 << 32:
        raise InputError(f"version must be 0 to 2^32 - 1, not {version!r}")
    batch = batch or random_users(model)
    check_batch(model, batch)
    user = model.user_model
    static, dynamic = _bottoms(
        _floats("static", user.static, batch.static), _floats("dynamic", user.dynamic, batch.context)
    )
    vector = user_vector(model, batch)
    bottom = next((stack.fractions[-1] for stack in (static, dynamic) if stack), WIDTH - 1)
    places, scale = _scales(user_tables(model), vector, element_bits, bottom)
    zero_point = round(-min(0.0, float(vector.min())) / scale)
    layers, steps, weight_steps = _top(_floats("top", user.top, vector), scale, zero_point)
    result = EdgeModel(
        version=version or 0,
        static=static.layers if static else (),
        dynamic=dynamic.layers if dynamic else (),
        top=layers,
        pooled_multiplier=multiplier(places, scale),
        bottom_multiplier=multiplier(bottom, scale),
        zero_point=zero_point,
        payload_scale=np.float32(steps[-1]),
    )
    if version is None:
        result = dataclasses.replace(result, version=_hash(result, places))
    return QuantisedUser(
        model=result,
        elements=InputQuantisation(precision=_precision(element_bits), fraction=places),
        static=static,
        dynamic=dynamic,
        scale=scale,
        top_steps=steps,
        weight_steps=weight_steps,
    )


def multiplier(places: int, scale: float) -> np.float32:
    """2^-places / scale as PyTorch quantises: by the reciprocal in single precision."""
    return np.ldexp(np.float32(1) / np.float32(scale), -places).astype(np.float32)


def entries(model: SplitModel, quantised: QuantisedUser, sparse: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Histories as an edge unit holds them: per group int64 (users, slots, elements), zeros at empty places."""
    rows: list[npt.NDArray[np.int64]] = []
    first = 0
    for number, table in zip(model.shape.user.features, user_tables(model), strict=True):
        ids = sparse[:, first : first + model.shape.features[number].lookups]
        first += ids.shape[1]
        rows.append(quantised.elements.integers(user_rows(table, ids)))
    groups: list[npt.NDArray[np.int64]] = []
    for group in histories(model.spec.shape, model.split):
        groups.append(np.concatenate(rows[: len(group.dims)], axis=2))
        rows = rows[len(group.dims) :]
    return groups


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Floats:
    """One perceptron in float and what its layers give on the calibration batch."""

    inputs: npt.NDArray[np.float64]
    weights: tuple[npt.NDArray[np.float32], ...]
    biases: tuple[npt.NDArray[np.float32], ...]
    outputs: tuple[npt.NDArray[np.float64], ...]


def _floats(name: str, module: torch.nn.Module | None, inputs: npt.NDArray[np.floating] | None) -> _Floats | None:
    if module is None or inputs is None:
        return None
    weights = tuple(layer.weight.detach().float().numpy() for layer in linears(module))
    biases = tuple(layer.bias.detach().float().numpy() for layer in linears(module))
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        check_finite(weight, bias, f"{name} layer {number}")
    values = inputs.astype(np.float64)
    return _Floats(inputs=values, weights=weights, biases=biases, outputs=tuple(float_layers(module, values)))


def _bottoms(static: _Floats | None, dynamic: _Floats | None) -> tuple[FixedStack | None, FixedStack | None]:
    """Both in fixed16, ending in one fraction: the most bits with which the larger outputs fit."""
    given = [floats for floats in (static, dynamic) if floats]
    last = min((output_fraction(floats.outputs[-1], WIDTH) for floats in given), default=WIDTH - 1)
    while True:
        stacks = [_fixed(floats, last) if floats else None for floats in (static, dynamic)]
        reached = min((stack.fractions[-1] for stack in stacks if stack), default=last)
        if reached == last:
            return stacks[0], stacks[1]
        last = reached


def _fixed(floats: _Floats, last: int) -> FixedStack:
    layers: list[QuantisedLayer] = []
    fractions = [output_fraction(floats.inputs, WIDTH)]
    weight_fractions: list[int] = []
    for number, (weight, bias) in enumerate(zip(floats.weights, floats.biases, strict=True)):
        end = number == len(floats.weights) - 1
        after = last if end else output_fraction(floats.outputs[number], WIDTH)
        layer, own, after = fixed_layer(weight, bias, relu=True, width=WIDTH, before=fractions[-1], after=after)
        layers.append(layer)
        fractions.append(after)
        weight_fractions.append(own)
    return FixedStack(layers=tuple(layers), fractions=tuple(fractions), weight_fractions=tuple(weight_fractions))


def _scales(
    tables: tuple[Table, ...], vector: npt.NDArray[np.float64], element_bits: int, bottom: int
) -> tuple[int, float]:
    """Fraction bits of the elements, and the scale of the top MLP's input: both multipliers fit the quantiser."""
    largest = max(peak(table) for table in tables)
    if not (np.isfinite(largest) and np.isfinite(vector).all()):
        raise ModelError("tables and calibration data must be finite")
    places = fraction(largest, 1 << (element_bits - 1), element_bits - 1)
    scale, _ = output_scale(vector, relu=False)
    while multiplier(places, scale) < SMALLEST_MULTIPLIER:
        places -= 1
    while max(multiplier(places, scale), multiplier(bottom, scale)) >= 1:
        scale *= 2
    return places, scale


def _top(
    floats: _Floats | None, scale: float, zero_point: int
) -> tuple[tuple[QuantisedLayer, ...], tuple[float, ...], tuple[npt.NDArray[np.float64], ...]]:
    assert floats is not None, "a split model has a top MLP"
    layers: list[QuantisedLayer] = []
    steps: list[float] = []
    weight_steps: list[npt.NDArray[np.float64]] = []
    for number, (weight, bias) in enumerate(zip(floats.weights, floats.biases, strict=True)):
        after, after_zero = output_scale(floats.outputs[number], relu=True)
        layer, own, after = int8_layer(
            weight, bias, relu=True, step=scale, after=after, zero_points=(zero_point, after_zero)
        )
        check_accumulator(layer, f"top layer {number}")
        layers.append(layer)
        steps.append(after)
        weight_steps.append(own)
        scale, zero_point = after, after_zero
    return tuple(layers), tuple(steps), tuple(weight_steps)


def _precision(element_bits: int) -> Precision:
    return Precision.FIXED32 if element_bits == Precision.FIXED32.width else Precision.FIXED16


def _hash(model: EdgeModel, places: int) -> int:
    """32 bits that differ when any integer of the model does."""
    digest = hashlib.sha256(repr((places, model.pooled_multiplier, model.bottom_multiplier)).encode())
    digest.update(repr((model.zero_point, model.payload_scale)).encode())
    for layer in (*model.static, *model.dynamic, *model.top):
        digest.update(layer.weights.tobytes() + layer.bias.tobytes() + repr((layer.shift, layer.relu)).encode())
        digest.update(b"" if layer.multiplier is None else layer.multiplier.tobytes())
    return int.from_bytes(digest.digest()[:4], "little")

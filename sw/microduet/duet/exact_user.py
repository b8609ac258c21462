"""The user's side of an exact split in integers: from his ids and dense inputs to the sums that the engine takes."""

import dataclasses
import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from microduet.duet.exact import ExactPayload, exact_payload, user_sums
from microduet.duet.shape import DlrmShape
from microduet.errors import ModelError
from microduet.fold_user import reach, without_bias, without_zero_point
from microduet.quantisation import InputQuantisation
from microduet.quantised import Quantised
from microduet_hw.config import Precision
from microduet_hw.quantised import QuantisedLayer, QuantisedModel, UserWeights


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactUser:
    """What a device computes for an engine that takes sums.

    Members
    -------
    bottom : the bottom MLP's layers, () for a model without
    layer : bias and the user's columns of the uncut layer: his features, then the bottom MLP's outputs
    payload : how sums are sent
    input, dense : scales of his features and of the dense inputs
    """

    bottom: tuple[QuantisedLayer, ...]
    layer: QuantisedLayer
    payload: ExactPayload
    input: InputQuantisation
    dense: InputQuantisation

    def sums(
        self, features: npt.NDArray[np.int64], dense: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """What is sent: int64 (users, sums) of 32 bits.

        Parameters
        ----------
        features : int64 (users, elements), the sums of the user's features in the engine's integers
        dense : int64 (users, columns), quantised dense inputs of a model with a bottom MLP
        """
        import torch

        from microduet.golden import GoldenLayer

        pieces = [features]
        if self.bottom and dense is not None:
            values = torch.from_numpy(dense)
            for layer in self.bottom:
                inputs = layer.weights.shape[1]
                values, _ = GoldenLayer(layer, precision=self.input.precision, inputs=inputs, logit=False)(values)
            pieces.append(values.numpy())
        joined = np.concatenate(pieces, axis=1)
        return self.payload.values(user_sums(self.layer, range(joined.shape[1]), joined))

    @property
    def version(self) -> int:
        """32 bits of a hash of every integer that the sums depend on."""
        digest = hashlib.sha256(msgspec.json.encode((self.payload, self.input, self.dense)))
        for layer in (*self.bottom, self.layer):
            digest.update(np.ascontiguousarray(layer.weights).tobytes() + layer.bias.tobytes())
            digest.update(repr((layer.shift, layer.input_zero_point, layer.output_zero_point)).encode())
            digest.update(b"" if layer.multiplier is None else layer.multiplier.tobytes())
        return int.from_bytes(digest.digest()[:4], "little")


def cut(whole: Quantised, shape: DlrmShape, *, precision: Precision) -> tuple[Quantised, ExactUser]:
    """The item's and the user's part of a quantised uncut model.

    Raises
    ------
    ModelError
        In fixed32, whose sums are too wide, or if a sum could leave the engine's accumulator.
    """
    number = len(shape.bottom) - 1 if shape.bottom else 0
    layer = whole.model.layers[number]
    bottom_columns = range(shape.top_inputs - shape.bottom_outputs, shape.top_inputs)
    users = [*shape.positions(shape.user.features), *bottom_columns]
    payload = exact_payload(layer, users, precision=precision)
    own = dataclasses.replace(layer, weights=np.ascontiguousarray(layer.weights[:, users]))
    user = ExactUser(
        bottom=whole.model.layers[:number], layer=own, payload=payload, input=whole.input, dense=whole.dense
    )
    columns = shape.positions(shape.item_features)
    items = without_bias(dataclasses.replace(layer, weights=np.ascontiguousarray(layer.weights[:, columns])))
    step = whole.steps[number - 1] if number else whole.input.step
    weights = UserWeights(
        weights=np.zeros((len(layer.bias), 0), np.int64),
        bias=np.zeros_like(layer.bias),
        shift=payload.shift,
        version=user.version,
        scale=float(np.float32(step * float(whole.weight_steps[number].max()) * 2.0**payload.shift)),
        zero_point=0,
    )
    layers = (items, *whole.model.layers[number + 1 :])
    _check(layer, layers, precision=precision, name=shape.name)
    quantised = dataclasses.replace(
        whole,
        model=QuantisedModel(layers=layers, logit_fraction=whole.model.logit_fraction),
        dense=whole.input,
        steps=whole.steps[number:],
        weight_steps=whole.weight_steps[number:],
        user=without_zero_point(weights, items),
    )
    return quantised, user


def _check(whole: QuantisedLayer, layers: Sequence[QuantisedLayer], *, precision: Precision, name: str) -> None:
    zero_point = whole.input_zero_point
    largest = max(zero_point, 255 - zero_point) if precision is Precision.INT8 else 1 << (precision.width - 1)
    nothing = UserWeights(weights=np.zeros((len(whole.bias), 0), np.int64), bias=whole.bias, version=0, scale=1.0,
                          zero_point=0)  # fmt: skip
    bits = precision.accumulator_width(max(layer.weights.shape[1] for layer in layers))
    if reach(whole, nothing, largest=largest) + (1 << 20) >= 1 << (bits - 1):
        raise ModelError(f"{name}: sums of the uncut layer do not fit the {bits} bits of an engine of its item's part")

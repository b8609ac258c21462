"""What a bundle says of users: the weights that meet their vectors, and an exact split's side of the device."""

import numpy as np
import numpy.typing as npt

from microduet.duet.exact import ExactPayload
from microduet.duet.exact_user import ExactUser
from microduet.errors import BundleError
from microduet.layer_file import Arrays, LayerRecord, layer_arrays, layer_records, read_layers
from microduet.quantisation import InputQuantisation
from microduet.shape import ModelShape
from microduet_hw.config import EngineConfig, Frozen, Payload
from microduet_hw.quantised import UserWeights

PREFIX = "exact_"


class UserRecord(Frozen, frozen=True, kw_only=True):
    """What an .npz file does not say of `UserWeights`."""

    shift: int
    version: int
    scale: float
    zero_point: int


class ExactRecord(Frozen, frozen=True, kw_only=True):
    """What it does not say of the user's side of an exact split: features and bottom MLP, how sums are sent."""

    shape: ModelShape
    payload: ExactPayload
    layers: tuple[LayerRecord, ...]
    dense: InputQuantisation


def user_arrays(user: UserWeights | None, exact: ExactUser | None, *, width: int) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of an .npz file; `width` is that of a weight of the engine."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    if user is not None:
        arrays |= {"user_weights": user.weights.astype("<i2"), "user_bias": user.bias.astype("<i8")}
    if exact is not None:
        arrays |= layer_arrays((*exact.bottom, exact.layer), width=width, prefix=PREFIX)
    return arrays


def user_record(user: UserWeights | None) -> UserRecord | None:
    """The record of `user`."""
    if user is None:
        return None
    return UserRecord(shift=user.shift, version=user.version, scale=user.scale, zero_point=user.zero_point)


def exact_record(exact: ExactUser | None, shape: ModelShape | None) -> ExactRecord | None:
    """The record of the user's side `exact`, of features and dense inputs `shape`."""
    if exact is None or shape is None:
        return None
    layers = (*exact.bottom, exact.layer)
    return ExactRecord(
        shape=shape, payload=exact.payload, layers=layer_records(layers, [0.0] * len(layers)), dense=exact.dense
    )


def read_user(arrays: Arrays, record: UserRecord | None, config: EngineConfig, where: str) -> UserWeights | None:
    """The user's weights of an engine.

    Raises
    ------
    BundleError
        If the engine takes users and the bundle says nothing of them, or the other way round, or shapes or numbers do
        not fit; `where` names the file.
    """
    if (record is None) != (config.user is None):
        raise BundleError(f"{where}: says {'nothing' if record is None else 'something'} of users, its engine "
                          f"{'takes' if config.user else 'takes no'} user vectors")  # fmt: skip
    if record is None or config.user is None:
        return None
    outputs = config.layers[config.user.layer].outputs
    columns = config.user.elements if config.user.payload is Payload.VECTOR else 0
    weights, bias = arrays["user_weights"].astype(np.int64), arrays["user_bias"].astype(np.int64)
    if weights.shape != (outputs, columns) or bias.shape != (outputs,):
        raise BundleError(f"{where}: user weights must be {(outputs, columns)}, not {weights.shape}")
    if not (0 <= record.shift < 64 and 0 <= record.version < 1 << 32 and 0 <= record.zero_point < 256):
        raise BundleError(f"{where}: shift {record.shift}, version {record.version} or zero point "
                          f"{record.zero_point} of users is out of range")  # fmt: skip
    return UserWeights(
        weights=weights,
        bias=bias,
        shift=record.shift,
        version=record.version,
        scale=record.scale,
        zero_point=record.zero_point,
    )


def read_exact(arrays: Arrays, record: ExactRecord | None, source: InputQuantisation) -> ExactUser | None:
    """The user's side of an exact split; KeyError if an array is missing."""
    if record is None:
        return None
    *bottom, layer = read_layers(arrays, record.layers, prefix=PREFIX)
    return ExactUser(bottom=tuple(bottom), layer=layer, payload=record.payload, input=source, dense=record.dense)

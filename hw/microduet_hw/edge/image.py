"""What an edge unit is loaded with: beats of weights, parameters and constants, and the streamed weights' memories."""

import typing
import zlib

import numpy as np
import numpy.typing as npt

from microduet_hw.config import AXI_BYTES
from microduet_hw.edge.check import sum_unit
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import CONSTANTS
from microduet_hw.edge.model import EdgeModel
from microduet_hw.image import CHECK, Beats, pack_words, split_multiplier, stack_beats, stream_image
from microduet_hw.loader import Target
from microduet_hw.pe import PAIR_BITS
from microduet_hw.quantised import QuantisedLayer


def stack_layers(model: EdgeModel) -> dict[str, tuple[QuantisedLayer, ...]]:
    """Layers of the model by the names of `EdgeConfig.stacks`."""
    return {"dynamic": model.dynamic, "static": model.static, "top": model.top}


def load_beats(config: EdgeConfig, model: EdgeModel) -> Beats:
    """Everything that a fresh unit needs before its first message; ValueError if it does not fit."""
    layers = stack_layers(model)
    beats = [
        stack_beats(stack, layers[name], unit=unit)
        for unit, (name, stack) in enumerate(config.stacks.items())
        if stack is not None
    ]
    if config.weight_check:
        beats += sum_beats(config, model)
    return np.concatenate([*beats, constant_beats(model)])


def sum_beats(config: EdgeConfig, model: EdgeModel) -> list[Beats]:
    """CRCs of a pass of each stack's streamed weights."""
    beats: list[Beats] = []
    for name, stack in config.streams.items():
        image = stream_image(stack, stack_layers(model)[name])
        word = np.array([zlib.crc32(image.tobytes())], "<u4").view(np.uint8)
        unit = sum_unit(list(config.stacks).index(name))
        beats.append(pack_words(word[None], target=Target.MODEL, unit=unit, row=0))
    return beats


def again_beats(config: EdgeConfig) -> Beats:
    """Check beats that have all streamed weights read anew, from memory."""
    units = [list(config.stacks).index(name) << PAIR_BITS + 1 for name in config.streams]
    beats = pack_words(np.zeros((len(units), 1), np.uint8), target=Target.WEIGHTS, unit=units, row=0)
    beats.view(np.uint8)[:, -1] |= CHECK
    return beats


def constant_beats(model: EdgeModel) -> Beats:
    """Constants of the model's version; ValueError if one does not fit."""
    if not 0 <= model.version < 1 << 32:
        raise ValueError(f"version must be 0 to 2^32 - 1, not {model.version!r}")
    multipliers = {"pooled": model.pooled_multiplier, "bottom": model.bottom_multiplier}
    fields: dict[int | str, typing.Any] = {
        "version": model.version,
        "scale": int.from_bytes(np.float32(model.payload_scale).tobytes(), "little"),
        "payload_zero_point": model.top[-1].output_zero_point,
        "zero_point": model.zero_point,
    }
    for name, multiplier in multipliers.items():
        mantissa, exponent = split_multiplier(np.float32(multiplier))
        fields[name] = {"mantissa": mantissa, "exponent": exponent}
    word = CONSTANTS.const(fields).as_bits().to_bytes((CONSTANTS.size + 7) // 8, "little")
    return pack_words(np.frombuffer(word, np.uint8)[None], target=Target.MODEL, unit=0, row=0)


def stream_tables(config: EdgeConfig, model: EdgeModel) -> tuple[npt.NDArray[np.int16], ...]:
    """Contents of the memory channels: int16 (rows, 16) each, in the order of `config.channels`."""
    tables: list[npt.NDArray[np.int16]] = []
    layers = stack_layers(model)
    for name, stack in config.streams.items():
        image = stream_image(stack, layers[name])
        shares = image.reshape(len(image), -1, AXI_BYTES)
        tables += [np.ascontiguousarray(shares[:, k]).view("<i2") for k in range(shares.shape[1])]
    return tuple(tables)

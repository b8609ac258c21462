"""From a model to a bundle for several cards."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np

from microduet import boards, bundle_files, cache, compiler
from microduet.bundle import Bundle
from microduet.cards.bundle import ENGINE, CardsBundle, CardsManifest, card_folder, vector_places
from microduet.cards.partition import Pieces, part_shape, partition
from microduet.cards.tables import table_piece
from microduet.compilable import Compilable
from microduet.errors import ModelError, PlacementError
from microduet.placement import Plan
from microduet.quantised import Quantised
from microduet.shape import ModelShape
from microduet.traced import TracedModel
from microduet_hw.config import Precision
from microduet_hw.quantised import QuantisedLayer, QuantisedModel


def compile_cards(
    model: compiler.Model,
    *,
    cards: int,
    board: str = "u280",
    precision: Precision | str = Precision.FIXED16,
    calibration: compiler.Batch = None,
    out: Path | str | None = None,
) -> CardsBundle:
    """Compile `model` for `cards` equal cards: each holds some of the tables and computes every `cards`-th item.

    Parameters
    ----------
    model, board, precision, calibration, out : as `microduet.compile` takes them

    Raises
    ------
    MicroduetError
        If the model is not supported, or its tables do not fit: one line that says what and where.
    """
    target = compiler.target(board=boards.find(board), precision=precision)
    ready = compiler.compilable(model, calibration)
    shape = ready.traced.shape
    if shape.bottom or shape.user:
        raise ModelError(f"{shape.name}: only a model whose first layer reads the whole vector lies on several cards")
    pieces = partition(shape, cards=cards, precision=target.precision, board=target.board)
    path = Path(out) if out else cache.bundle_path(f"{shape.name}-x{cards}", ready.content, target.key)
    if out or not (path / bundle_files.MANIFEST).is_file():
        _write(path, ready, target, pieces, keep=out is None)
    return CardsBundle.read(path)


def _write(path: Path, ready: Compilable, target: compiler.Target, pieces: tuple[Pieces, ...], *, keep: bool) -> None:
    target = dataclasses.replace(target, mode=ready.mode)
    quantised, _ = ready.quantise(target.precision)
    shape = ready.traced.shape
    with bundle_files.writing(path, keep=keep) as folder:
        parts: list[Bundle] = []
        for card, mine in enumerate(pieces):
            place = folder / card_folder(card)
            try:
                compiler.write(place, _part(ready, mine, quantised), target, keep=False)
            except PlacementError as error:
                raise PlacementError(f"card {card} of {len(pieces)}: {error}") from error
            parts.append(Bundle.read(place, verify=False))
        places = vector_places(shape, pieces, tuple(parts))
        engine = _engine(ready, places, quantised)
        name = engine.traced.shape.name
        nothing = Plan(model=name, board=target.board.name, precision=target.precision, mode="cards", planned=())
        compiler.write(folder / ENGINE, engine, dataclasses.replace(target, plan=nothing), keep=False)
        text = msgspec.json.encode(CardsManifest(shape=shape, pieces=pieces), order="deterministic")
        (folder / bundle_files.MANIFEST).write_bytes(msgspec.json.format(text, indent=1))


def _part(ready: Compilable, pieces: Pieces, quantised: Quantised) -> Compilable:
    """One card's tables, at the scale of the whole model's; an output layer of zeros stands for the layers."""
    shape = part_shape(ready.traced.shape, pieces)
    nothing = QuantisedLayer(
        weights=np.zeros((1, shape.vector_elements), np.int64), bias=np.zeros(1, np.int64), relu=False
    )
    integers = Quantised(
        model=QuantisedModel(layers=(nothing,), logit_fraction=0),
        input=quantised.input,
        dense=quantised.dense,
        steps=(1.0,),
        weight_steps=(np.ones(1),),
    )
    tables = tuple(table_piece(ready.traced.tables[piece.feature], piece) for piece in pieces)
    traced = TracedModel(shape=shape, tables=tables, weights=(), biases=())
    return Compilable(traced=traced, quantise=lambda _: (integers, None), content=ready.content, mode=ready.mode)


def _engine(ready: Compilable, places: np.ndarray, quantised: Quantised) -> Compilable:
    """The whole model's layers behind a vector of dense elements in the order of `places`."""
    traced, (first, *others) = ready.traced, quantised.model.layers
    weights = np.where(places >= 0, first.weights[:, places], 0)
    layers = (dataclasses.replace(first, weights=weights), *others)
    shape = _dense_shape(traced.shape, len(places))
    integers = dataclasses.replace(quantised, model=dataclasses.replace(quantised.model, layers=layers))
    alone = TracedModel(shape=shape, tables=(), weights=(), biases=())
    return Compilable(traced=alone, quantise=lambda _: (integers, None), content=ready.content)


def _dense_shape(shape: ModelShape, elements: int) -> ModelShape:
    first, *others = shape.layers
    *hidden, output = (first.replace(inputs=elements), *others)
    return ModelShape(
        name=f"{shape.name}-layers",
        features=(),
        dense=elements,
        hidden=tuple(hidden),
        output=output,
        sigmoid=shape.sigmoid,
    )

"""A model compiled for several cards: a bundle per card's tables and one of the engine that all cards have."""

import dataclasses
import functools
import typing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.bundle import Bundle
from microduet.bundle_files import MANIFEST, decode
from microduet.cards.partition import Pieces
from microduet.errors import BundleError
from microduet.shape import ModelShape
from microduet_hw.config import Frozen
from microduet_hw.quantised import QuantisedModel
from microduet_hw.shard import ShardConfig

if typing.TYPE_CHECKING:
    from microduet.golden import Golden

FORMAT = 1
ENGINE = "engine"


class CardsManifest(Frozen, frozen=True, kw_only=True):
    """The model as its user knows it, and which card has which pieces of its tables."""

    format: int = FORMAT
    kind: typing.Literal["cards"] = "cards"
    shape: ModelShape
    pieces: tuple[Pieces, ...]


def card_folder(card: int) -> str:
    """Name of the folder of card `card`'s tables."""
    return f"card-{card:02}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardsBundle:
    """A model for several cards, read from `path`.

    Members
    -------
    manifest : the model's shape, pieces of tables by card
    engine : what every card computes: all layers, the vector given as dense elements
    parts : per card, the tables that lie on it
    """

    path: Path
    manifest: CardsManifest
    engine: Bundle
    parts: tuple[Bundle, ...]

    @property
    def cards(self) -> int:
        """How many there are."""
        return len(self.parts)

    @property
    def shape(self) -> ModelShape:
        """The model as its user knows it."""
        return self.manifest.shape

    @functools.cached_property
    def shards(self) -> tuple[ShardConfig, ...]:
        """Configurations of the cards' lookups."""
        return tuple(ShardConfig.of(part.config) for part in self.parts)

    @functools.cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """For every element of the engine's vector, its position in the model's; -1 for one that fills a beat up."""
        return vector_places(self.shape, self.manifest.pieces, self.parts)

    def columns(self, card: int) -> list[int]:
        """Columns of `sparse` that card `card` looks up."""
        ends = np.cumsum([feature.lookups for feature in self.shape.features]).tolist()
        numbers = [piece.feature for piece in self.manifest.pieces[card]]
        features = [(ends[k], self.shape.features[k].lookups) for k in numbers]
        return [column for end, lookups in features for column in range(end - lookups, end)]

    @functools.cached_property
    def model(self) -> QuantisedModel:
        """Quantised weights in the order of the model's own vector."""
        first, *others = self.engine.model.layers
        used = np.flatnonzero(self.places >= 0)
        weights = np.empty((len(first.weights), len(used)), np.int64)
        weights[:, self.places[used]] = first.weights[:, used]
        layers = (dataclasses.replace(first, weights=weights), *others)
        return dataclasses.replace(self.engine.model, layers=layers)

    def golden(self) -> "Golden":
        """The golden model of the whole model; imports torch."""
        from microduet.cards.tables import whole_tables
        from microduet.golden import Golden

        return Golden(
            model=self.model,
            input=self.engine.input,
            dense=self.engine.manifest.dense,
            tables=whole_tables(self),
            features=self.shape,
        )

    @classmethod
    def read(cls, path: Path | str) -> "CardsBundle":
        """Read the bundle at `path`; raises BundleError, naming it, if a file is missing, damaged or another's."""
        path = Path(path)
        manifest = decode(path / MANIFEST, CardsManifest)
        if manifest.format != FORMAT:
            raise BundleError(f"{path / MANIFEST}: cards format must be {FORMAT}, not {manifest.format}")
        parts = tuple(Bundle.read(path / card_folder(card)) for card in range(len(manifest.pieces)))
        bundle = cls(path=path, manifest=manifest, engine=Bundle.read(path / ENGINE), parts=parts)
        if len(bundle.places) != bundle.engine.config.dense:
            raise BundleError(f"{path / MANIFEST}: its cards and its engine are not of one model")
        return bundle


def vector_places(shape: ModelShape, pieces: tuple[Pieces, ...], parts: tuple[Bundle, ...]) -> npt.NDArray[np.int64]:
    """As `CardsBundle.places`: every card's share on beats of its own, then the dense elements."""
    spans: list[npt.NDArray[np.int64]] = []
    for mine, part in zip(pieces, parts, strict=True):
        firsts = [(shape.features[one.feature].position + one.column_first, one.columns) for one in mine]
        positions = np.concatenate([np.arange(first, first + columns) for first, columns in firsts])
        config = ShardConfig.of(part.config)
        share = np.full(config.words * config.input_lanes, -1)
        share[: len(positions)] = positions[part.vector_order]
        spans.append(share)
    spans.append(np.arange(shape.dense_position, shape.dense_position + shape.dense))
    return np.concatenate(spans).astype(np.int64)

"""A compiled user model on disk: configuration, integers and hashes. Reading one executes nothing."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from microduet.array_files import read_arrays
from microduet.bundle_files import CONFIG, MANIFEST, WEIGHTS, file_digest, read_described, writing
from microduet.errors import BundleError, InputError
from microduet.layer_file import LayerRecord, layer_arrays, layer_records, read_layers
from microduet.unreadable import UNREADABLE
from microduet_hw.config import Frozen
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.image import stack_layers
from microduet_hw.edge.model import EdgeModel

FORMAT = 2


class EdgeScales(Frozen, frozen=True, kw_only=True):
    """Fraction bits of the integers that a unit is sent: ``saturate(round_half_even(x 2^fraction))``."""

    element: int
    """Of an entry's elements."""
    static: int = 0
    context: int = 0


class EdgeManifest(Frozen, frozen=True, kw_only=True):
    """The bundle's own description; `files` has the SHA-256 of every other file."""

    format: int = FORMAT
    unit: str = "edge"
    name: str
    model: str
    version: int
    scales: EdgeScales
    zero_point: int
    layers: dict[str, tuple[LayerRecord, ...]]
    config_digest: str
    files: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeBundle:
    """A compiled user model, read from `path`.

    Members
    -------
    config : of the edge unit
    manifest : scales, version, hashes
    model : quantised weights and constants
    """

    path: Path
    config: EdgeConfig
    manifest: EdgeManifest
    model: EdgeModel

    @property
    def scales(self) -> EdgeScales:
        """Fraction bits of what the unit is sent."""
        return self.manifest.scales

    def entry(self, group: int, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Integers of an entry of history `group` from float embeddings, table by table: int64 (elements,)."""
        history = self.config.histories[group]
        array = _checked(values, history.elements, f"an entry of history {group} ({len(history.dims)} tables)")
        return _integers(array, self.scales.element, self.config.element_bits)

    def static(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Integers of static inputs: int64 (inputs,)."""
        wanted = self.config.static.inputs if self.config.static else 0
        return _integers(_checked(values, wanted, "the static inputs"), self.scales.static, 16)

    def context(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Integers of a context: int64 (inputs,)."""
        wanted = self.config.dynamic.inputs if self.config.dynamic else 0
        return _integers(_checked(values, wanted, "a context"), self.scales.context, 16)

    @classmethod
    def read(cls, path: Path | str, *, verify: bool = True) -> "EdgeBundle":
        """Read the bundle at `path`.

        Parameters
        ----------
        verify : compare the hash of every file, and the version with that of the contents

        Raises
        ------
        BundleError
            If a file is missing, damaged or of another format: names it.
        """
        path = Path(path)
        manifest, config = read_described(path, EdgeManifest, EdgeConfig, format=FORMAT, verify=verify)
        arrays = _read_arrays(path / WEIGHTS)
        if verify and manifest.version != _version(manifest, arrays):
            raise BundleError(f"{path / MANIFEST}: version {manifest.version} is not that of the bundle's contents")
        return cls(path=path, config=config, manifest=manifest, model=_model(path / WEIGHTS, manifest, arrays))


def is_edge_bundle(path: Path | str) -> bool:
    """Whether the bundle at `path` is of an edge unit; False of anything else, readable or not."""
    try:
        manifest = msgspec.json.decode((Path(path) / MANIFEST).read_bytes())
    except (OSError, *UNREADABLE):
        return False
    return isinstance(manifest, dict) and manifest.get("unit") == "edge"


def write_bundle(
    path: Path, *, name: str, config: EdgeConfig, model: EdgeModel, scales: EdgeScales, keep: bool = False
) -> EdgeBundle:
    """Write a bundle and read it again; its version is that of its contents, whatever `model` says.

    Parameters
    ----------
    name : of the model
    keep : what another process has put at `path` meanwhile stays
    """
    layers = stack_layers(model)
    with writing(path, keep=keep) as folder:
        (folder / CONFIG).write_bytes(config.to_json())
        arrays: dict[str, npt.NDArray[np.generic]] = {
            name: np.array(getattr(model, name), "<f4")
            for name in ("pooled_multiplier", "bottom_multiplier", "payload_scale")
        }
        for stack, own in layers.items():
            arrays |= layer_arrays(own, width=8 if stack == "top" else 16, prefix=f"{stack}_")
        with (folder / WEIGHTS).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
        manifest = EdgeManifest(
            name=config.name,
            model=name,
            version=0,
            scales=scales,
            zero_point=model.zero_point,
            layers={stack: layer_records(own, [0.0] * len(own)) for stack, own in layers.items()},
            config_digest=config.digest,
            files={file: file_digest(folder / file) for file in (CONFIG, WEIGHTS)},
        )
        manifest = manifest.replace(version=_version(manifest, arrays))
        text = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)
        (folder / MANIFEST).write_bytes(text)
    return EdgeBundle.read(path)


def _version(manifest: EdgeManifest, arrays: Mapping[str, npt.NDArray[np.generic]]) -> int:
    """32 bits of a hash of everything that a user vector depends on, the scales of what is sent among it."""
    described = (manifest.config_digest, manifest.scales, manifest.zero_point, manifest.layers)
    digest = hashlib.sha256(msgspec.json.encode(described, order="deterministic"))
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return int.from_bytes(digest.digest()[:4], "little")


def _read_arrays(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    try:
        return read_arrays(path)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error


def _model(path: Path, manifest: EdgeManifest, arrays: Mapping[str, npt.NDArray[np.generic]]) -> EdgeModel:
    try:
        layers = {name: read_layers(arrays, own, prefix=f"{name}_") for name, own in manifest.layers.items()}
        return EdgeModel(
            version=manifest.version,
            zero_point=manifest.zero_point,
            pooled_multiplier=np.float32(arrays["pooled_multiplier"]),
            bottom_multiplier=np.float32(arrays["bottom_multiplier"]),
            payload_scale=np.float32(arrays["payload_scale"]),
            **layers,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error


def _checked(values: npt.ArrayLike, elements: int, what: str) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(values, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be {elements} numbers: {error}") from error
    if array.shape != (elements,):
        raise InputError(f"{what} must have {elements} elements, not {array.size}")
    if not np.isfinite(array).all():
        raise InputError(f"{what} must be finite, but element {int(np.argmin(np.isfinite(array)))} is not")
    return array


def _integers(values: npt.NDArray[np.float64], fraction: int, bits: int) -> npt.NDArray[np.int64]:
    limit = 1 << bits - 1
    with np.errstate(over="ignore"):  # what no double holds saturates like the rest
        return np.clip(np.rint(np.ldexp(values, fraction)), -limit, limit - 1).astype(np.int64)

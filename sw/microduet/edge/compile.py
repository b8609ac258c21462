"""From a split model to an edge unit's bundle."""

import typing
from pathlib import Path

import msgspec

from microduet import cache
from microduet.duet import zoo
from microduet.duet.configure import edge_config
from microduet.edge.bundle import EdgeBundle, EdgeScales, write_bundle
from microduet.errors import ModelError
from microduet_hw.config import Frozen

if typing.TYPE_CHECKING:
    from microduet.duet.users import UserBatch
    from microduet.models.split import SplitModel

SUFFIX = "-edge"


class EdgeOptions(Frozen, frozen=True, kw_only=True):
    """What a unit is like.

    Parameters
    ----------
    element_bits : of an element of a history: 32 as in Duet's Table 4, or 16
    top_streamed : the user top MLP's weights come from memory with every query
    clock_mhz : clock at which times are quoted
    weight_check : whether `EdgeDevice.check_weights` can find bits that have changed in weights since they were loaded,
        and a payload says so if they changed in streamed ones
    """

    element_bits: int = 32
    top_streamed: bool = False
    clock_mhz: int = 1000
    weight_check: bool = False


def spec_of(name: str, *, seed: int = 0) -> zoo.DlrmModelSpec:
    """The split model behind the unit called `name`, ``rm3-edge`` or ``rm3``; raises ModelError, listing the names."""
    model = name.removesuffix(SUFFIX)
    if model not in zoo.RM:
        raise ModelError(f"edge unit must be {', '.join(rm + SUFFIX for rm in zoo.RM)}, not {name!r}")
    shape = zoo.shape_of(model)
    return zoo.DlrmModelSpec(shape=shape, split=zoo.split_of(shape, "duet"), seed=seed)


def compile_edge(
    model: "SplitModel | zoo.DlrmModelSpec | str",
    *,
    options: EdgeOptions | None = None,
    calibration: "UserBatch | None" = None,
    out: Path | str | None = None,
) -> EdgeBundle:
    """Compile the user's part of `model` for an edge unit.

    Parameters
    ----------
    model : a model with a `duet` split, the checkpoint (.pt) of one, or one of RM1 to RM5 by name or spec; those are
        taken from the cache without torch when they were compiled before
    calibration : users who show the ranges; by default a checkpoint's own, else 512 with uniform ids
    out : folder of the bundle; by default one in the user's cache, named by its contents

    Raises
    ------
    MicroduetError
        If the model is not split so, or does not fit: one line that says what and where.
    """
    options = options or EdgeOptions()
    if isinstance(model, str) and model.endswith(".pt"):
        model, users = _trained(model)
        calibration = calibration or users
    spec = spec_of(model) if isinstance(model, str) else model
    cached = isinstance(spec, zoo.DlrmModelSpec) and calibration is None and out is None
    path = Path(out) if out else None
    if cached:
        path = cache.bundle_path(f"{spec.shape.name}{SUFFIX}", msgspec.json.encode(spec), msgspec.json.encode(options))
        if path.is_dir():
            return EdgeBundle.read(path)
    from microduet.duet.quantise import quantise_user

    built = _built(spec)
    quantised = quantise_user(built, element_bits=options.element_bits, batch=calibration)
    config = edge_config(
        built.spec.shape,
        built.split,
        element_bits=options.element_bits,
        top_streamed=options.top_streamed,
        clock_mhz=options.clock_mhz,
        weight_check=options.weight_check,
    )
    path = path or cache.bundle_path(config.name, config.to_json(), quantised.model.version.to_bytes(4, "little"))
    scales = EdgeScales(
        element=quantised.elements.fraction,
        static=quantised.static.input.fraction if quantised.static else 0,
        context=quantised.dynamic.input.fraction if quantised.dynamic else 0,
    )
    return write_bundle(
        path, name=built.spec.shape.name, config=config, model=quantised.model, scales=scales, keep=out is None
    )


def _built(model: "SplitModel | zoo.DlrmModelSpec") -> "SplitModel":
    if not isinstance(model, zoo.DlrmModelSpec):
        return model
    from microduet.models.split import SplitModel, build_dlrm

    built = build_dlrm(model)
    if not isinstance(built, SplitModel):
        raise ModelError(f"{model.shape.name}: an edge unit computes a duet split, not the whole model")
    return built


def _trained(path: str) -> "tuple[SplitModel, UserBatch | None]":
    """The split model in a checkpoint, and the users who show its ranges."""
    from microduet.models.split import SplitModel
    from microduet.train.checkpoint import load_model, load_users

    model = load_model(path)
    if not isinstance(model, SplitModel):
        raise ModelError(f"{path}: an edge unit computes a duet split, not the whole model")
    return model, load_users(path)

"""Models by name, as plain data: the zoo's, Duet's whole and split, and descriptions in files."""

from microduet import zoo
from microduet.duet import zoo as duet_zoo
from microduet.duet.engine_shape import item_shape, whole_shape
from microduet.errors import ModelError
from microduet.shape import ModelShape

SPLITS = ("duet", "exact")
NAMES = (*zoo.NAMES, *zoo.LARGER, *duet_zoo.RM, *(f"{name}-{kind}" for name in duet_zoo.NAMES for kind in SPLITS))
CHECKPOINT, DESCRIPTION = ".pt", ".json"

Spec = zoo.ZooModel | duet_zoo.DlrmModelSpec


def find(name: str, *, seed: int = 0, dim: int = 32) -> Spec:
    """The model called `name`: of the zoo, ``rm1`` to ``rm5`` whole, ``rm1-duet`` its items' part, or a .json file.

    Raises
    ------
    ModelError
        If there is none: lists the names.
    """
    if name.endswith(DESCRIPTION) or name in duet_zoo.RM:
        return duet_zoo.spec(name, seed=seed)
    for kind in SPLITS:
        base = name.removesuffix(f"-{kind}")
        if base != name and base in duet_zoo.NAMES:
            return duet_zoo.spec(base, split=kind, seed=seed)
    if name not in (*zoo.NAMES, *zoo.LARGER):
        raise ModelError(
            f"model must be {', '.join(NAMES)}, a description (.json), a checkpoint (.pt) or module.py:factory, "
            f"not {name!r}"
        )
    return zoo.find(name, seed=seed, dim=dim)


def engine_shape(spec: Spec) -> ModelShape:
    """What an engine computes of a model: all of it, or its items' part."""
    if isinstance(spec, zoo.ZooModel):
        return spec.shape
    return whole_shape(spec.shape) if spec.split is None else item_shape(spec.shape, spec.split)

"""Bundles of small units that several tests share."""

import functools
import tempfile
from pathlib import Path

import numpy as np

import microduet as md
from microduet.duet.users import random_users
from microduet.edge.bundle import EdgeBundle
from microduet.edge.compile import EdgeOptions
from tests.sw.duet.users import split_model


@functools.cache
def bundle(name: str = "small", *, element_bits: int = 32, weight_check: bool = False) -> EdgeBundle:
    """The bundle of `tests.sw.duet.users`' model `name`."""
    folder = Path(tempfile.mkdtemp(prefix="microduet-edge-"))
    model, options = split_model(name), EdgeOptions(element_bits=element_bits, weight_check=weight_check)
    calibration = random_users(model, users=64)
    return md.compile_edge(model, options=options, calibration=calibration, out=folder / "bundle")


def longest(unit: EdgeBundle) -> int:
    """Number of the history that is meant where none is named."""
    histories = unit.config.histories
    return max(range(len(histories)), key=lambda k: histories[k].slots)


def entries(unit: EdgeBundle, count: int, *, group: int | None = None, seed: int = 0) -> list[np.ndarray]:
    """Random entries of a history."""
    elements = unit.config.histories[longest(unit) if group is None else group].elements
    return list(np.random.default_rng(seed).normal(0, 0.2, (count, elements)))

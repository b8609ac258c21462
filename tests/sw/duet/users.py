"""Quantised user models and users that several tests share."""

import functools

import numpy as np

import microduet as md
from microduet.duet import zoo
from microduet.duet.configure import edge_config
from microduet.duet.golden import GoldenUser, UserResult
from microduet.duet.quantise import QuantisedUser, entries, quantise_user
from microduet.duet.users import UserBatch, random_users
from microduet.models import SplitModel
from microduet_hw.edge.config import EdgeConfig
from tests.sw.duet.test_shape import SMALL


@functools.cache
def split_model(name: str, seed: int = 0) -> SplitModel:
    """A duet split of a model of the zoo, its tables of 1,000 rows, or of the tests' own small one."""
    if name == "small":
        model = md.models.dlrm(SMALL, split="duet", seed=seed)
    else:
        model = getattr(md.models, name)(split="duet", rows=1000, seed=seed)
    assert isinstance(model, SplitModel)
    return model


@functools.cache
def quantised(name: str, element_bits: int = 32) -> tuple[SplitModel, EdgeConfig, QuantisedUser]:
    model = split_model(name)
    config = edge_config(model.spec.shape, model.split, element_bits=element_bits)
    batch = random_users(model, users=64)
    return model, config, quantise_user(model, element_bits=element_bits, batch=batch)


def golden(model: SplitModel, config: EdgeConfig, user: QuantisedUser, batch: UserBatch) -> UserResult:
    """The golden model's answer to users in float."""
    return GoldenUser(config=config, model=user.model).run(*integers(model, user, batch))


def integers(
    model: SplitModel, user: QuantisedUser, batch: UserBatch
) -> tuple[list[np.ndarray], np.ndarray | None, np.ndarray | None]:
    """What an edge unit is given: histories, static inputs, context."""
    static = None if user.static is None or batch.static is None else user.static.input.integers(batch.static)
    context = None if user.dynamic is None or batch.context is None else user.dynamic.input.integers(batch.context)
    return entries(model, user, batch.sparse), static, context


NAMES = ("small", *zoo.RM)

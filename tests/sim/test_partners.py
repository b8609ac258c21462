"""A whole engine whose tables are interleaved, replicated and lie between each other's rows."""

import numpy as np
import pytest

from microduet.packets import pack_items
from microduet_hw.config import Precision
from microduet_hw.generate import generate
from microduet_hw.image import load_beats
from microduet_hw.lookup.reference import Packet, assemble
from microduet_hw.reference import scores
from microduet_sim.batch import Stalls
from microduet_sim.build import Structure, build
from microduet_sim.simulator import Simulator
from tests.sim.engines import CONTROL, ITEMS, partners_config, random_tables
from tests.support.by_night import NIGHTLY
from tests.support.models import random_model

COUNT = 60


@pytest.mark.parametrize(
    ("precision", "structure"),
    [(Precision.FIXED16, "composite"), pytest.param(Precision.INT8, "flat", marks=NIGHTLY)],
)
def test_engine_with_partners_equals_the_reference(precision: Precision, structure: Structure) -> None:
    config = partners_config(precision)
    assert config.partners == ((0, 1, 2, 3), (4,), (5,))
    rng = np.random.default_rng(3)
    model, images = random_model(config, rng), random_tables(config, rng)
    tables = [image.rows.astype(np.int64) for image in images]
    rows = [feature.rows for feature in config.features for _ in range(feature.lookups)]
    sparse = np.stack([rng.integers(0, count, COUNT) for count in rows], axis=1)
    flat = structure == "flat"
    library = build(config, generate(config), structure=structure, checks=flat)
    with Simulator(config, library, tables=images, settle=flat) as simulator:
        simulator.set_stalls(Stalls.everywhere(0.3, seed=5))
        simulator.load(load_beats(config, model, lambda feature, first, count: tables[feature][first : first + count]))
        simulator.write(ITEMS, COUNT)
        simulator.write(CONTROL, 1)
        results = simulator.run(pack_items(config, sparse=sparse))
    vectors = np.stack([assemble(config, tables, Packet(tag=0, indices=item))[0] for item in sparse.tolist()])
    logits, fractions = scores(config, model, vectors)
    assert not results.status.any()
    assert (results.logit == logits).all()
    assert (results.score == fractions).all()

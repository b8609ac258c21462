"""A whole engine with a bottom MLP, flat and composite: scores equal the reference under random stalls."""

import numpy as np
import pytest

from microduet.packets import pack_items
from microduet_hw.config import Precision
from microduet_hw.export import export
from microduet_hw.generate import generate
from microduet_hw.image import load_beats
from microduet_hw.lookup.reference import Packet, assemble
from microduet_hw.reference import scores
from microduet_sim.batch import Stalls
from microduet_sim.build import Structure, build
from microduet_sim.simulator import Simulator
from tests.sim.engines import CONTROL, ITEMS, bottom_config, random_tables
from tests.support.by_night import NIGHTLY
from tests.support.models import random_model

COUNT = 60
CASES = [
    (Precision.FIXED16, "composite"),
    pytest.param(Precision.FIXED16, "flat", marks=NIGHTLY),
    pytest.param(Precision.INT8, "composite", marks=NIGHTLY),
]


@pytest.mark.parametrize(("precision", "structure"), CASES)
def test_engine_with_a_bottom_mlp_equals_the_reference(precision: Precision, structure: Structure) -> None:
    config = bottom_config(precision)
    rng = np.random.default_rng(4)
    model, images = random_model(config, rng), random_tables(config, rng)
    tables = [image.rows.astype(np.int64) for image in images]
    rows = [feature.rows for feature in config.features for _ in range(feature.lookups)]
    sparse = np.stack([rng.integers(0, count, COUNT) for count in rows], axis=1)
    dense = rng.integers(0, 1 << precision.width, (COUNT, config.dense))
    sent = dense - ((dense >> precision.width - 1) << precision.width) * precision.signed
    flat = structure == "flat"
    library = build(config, generate(config), structure=structure, checks=flat)
    items = zip(sparse.tolist(), dense.tolist(), strict=True)
    packets = [Packet(tag=0, indices=item, dense=elements) for item, elements in items]
    logits, fractions = scores(config, model, np.stack([assemble(config, tables, packet)[0] for packet in packets]))
    assert len(set(logits.tolist())) > COUNT // 4
    with Simulator(config, library, tables=images, settle=flat) as simulator:
        simulator.load(load_beats(config, model, lambda feature, first, count: tables[feature][first : first + count]))
        for probability in (0.0, 0.4):
            simulator.set_stalls(Stalls.everywhere(probability, seed=5))
            simulator.write(ITEMS, COUNT)
            simulator.write(CONTROL, 1)
            results = simulator.run(pack_items(config, sparse=sparse, dense=sent))
            assert not results.status.any()
            assert (results.logit == logits).all()
            assert (results.score == fractions).all()


def test_verilog_of_it_leaves() -> None:
    config = bottom_config(Precision.FIXED16)
    files = export(config)
    assert {"map.json", "microduet_bottom_fixed16.v", "microduet_bottom_fixed16.xdc"} <= set(files)
    assert '"bottom": 2' in files["map.json"]

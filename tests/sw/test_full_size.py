"""Full-size engines under random stalls on every stream: each score is the golden model's."""

import os
import secrets

import numpy as np
import pytest

import microduet as md
from microduet import zoo
from microduet.measure import Job, compare
from microduet_hw.config import Precision

STALLS = (0.05, 0.3, 0.6, 0.9)
"""Probabilities that a stream waits in a cycle; the items are divided among them."""


def chosen_seed() -> int:
    """$MICRODUET_SEED, to repeat a run; else a fresh one. Printed, so that a failure shows it."""
    seed = int(os.environ.get("MICRODUET_SEED") or secrets.randbelow(1 << 31))
    print(f"MICRODUET_SEED={seed}")
    return seed


def check(model: str, precision: str, *, items: int, seed: int) -> None:
    bundle = md.compile(model, precision=precision)
    with md.open(bundle) as device:
        for number, (probability, traffic) in enumerate(zip(STALLS, ("uniform", "zipf") * 2, strict=True)):
            job = Job(bundle=bundle, traffic=traffic, seed=seed)
            count = items // len(STALLS)
            sparse, dense = job.ids(count, salt=number), job.dense(count, salt=number)
            device.set_stalls(probability, seed=seed + number)
            batch = device.run(sparse, dense)
            mismatches, wrong = compare(bundle, batch, sparse, dense)
            said = f"seed {seed}, stalls {probability}: {'; '.join(map(str, mismatches))}"
            assert wrong == 0, said
            assert not batch.status.any(), said
            assert len(np.unique(batch.logits)) > count // 20, "scores that hardly differ prove little"


def test_a_sample_is_bit_equal() -> None:
    check("microrec-small", "fixed16", items=400, seed=2024)


@pytest.mark.nightly
@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("model", zoo.NAMES)
def test_ten_thousand_items_are_bit_equal(model: str, precision: str) -> None:
    check(model, str(precision), items=10_000, seed=chosen_seed())

"""Configurations: what they derive, how they travel, and every rule that makes one illegal."""

import msgspec
import pytest

from microduet_hw.config import (
    Array,
    EngineConfig,
    Feature,
    Layer,
    Part,
    Precision,
    Source,
    SourceKind,
)
from tests.support.models import small_config

WHOLE = Part(feature=0, rows=10, columns=4, base=0, stride_log2=5)
POOLED = Part(feature=1, rows=6, columns=8, base=0, stride_log2=5)


def engine(**changes):
    """Two features, the second pooled, and two dense elements; two hidden layers on two arrays."""
    fields = {
        "name": "legal",
        "precision": Precision.FIXED16,
        "features": (Feature(rows=10, dim=4, position=2), Feature(rows=6, dim=8, lookups=3, position=6)),
        "dense": 2,
        "dense_position": 0,
        "sources": (Source(kind=SourceKind.HBM, parts=(WHOLE,)), Source(kind=SourceKind.ONCHIP, parts=(POOLED,))),
        "hidden": (Layer(inputs=14, outputs=8), Layer(inputs=8, outputs=5)),
        "output": Layer(inputs=5, outputs=1, relu=False),
        "arrays": (
            Array(pes=4, lanes=4, drain=2, layers=(0,)),
            Array(pes=2, lanes=2, drain=6, layers=(1,)),
        ),
    }
    return EngineConfig(**{**fields, **changes})


def sources(*parts):
    return {"sources": tuple(Source(kind=SourceKind.HBM, parts=(part,)) for part in parts)}


def features(*positions):
    return {
        "features": (
            Feature(rows=10, dim=4, position=positions[0]),
            Feature(rows=6, dim=8, lookups=3, position=positions[1]),
        )
    }


def arrays(*rows):
    return {"arrays": tuple(Array(pes=p, lanes=n, drain=d, layers=layers) for p, n, d, layers in rows)}


ILLEGAL = {
    "layers do not chain": (
        {"hidden": (Layer(inputs=14, outputs=8), Layer(inputs=9, outputs=5))},
        "layer 1 takes 9 inputs where 8 arrive",
    ),
    "the first layer does not take the vector": ({"dense": 3}, "layer 0 takes 14 inputs where 15 arrive"),
    "two outputs": ({"output": Layer(inputs=5, outputs=2)}, "the output layer has one output, not 2"),
    "a layer without outputs": (
        {"hidden": (Layer(inputs=14, outputs=0), Layer(inputs=0, outputs=5))},
        "layer 0 must have at least one input and output, not 14 and 0",
    ),
    "a layer on no array": (arrays((4, 4, 4, (0,))), r"in order, each once, not \[0\]"),
    "a layer on two arrays": (arrays((4, 4, 2, (0,)), (2, 2, 2, (0, 1))), r"not \[0, 0, 1\]"),
    "layers out of order": (arrays((4, 4, 2, (1,)), (2, 2, 2, (0,))), r"not \[1, 0\]"),
    "a drain unlike the next array's lanes": (
        arrays((4, 4, 3, (0,)), (2, 2, 6, (1,))),
        r"array 0 drains 3 outputs per cycle, its consumers take \[2\]",
    ),
    "a drain unlike the array's own lanes": (
        arrays((4, 4, 2, (0, 1))),
        r"array 0 drains 2 outputs per cycle, its consumers take \[2, 4\]",
    ),
    "more arrays than a load names": (
        {"hidden": (Layer(inputs=14, outputs=14),) * 17, "output": Layer(inputs=14, outputs=1)}
        | arrays(*[(2, 2, 2, (k,)) for k in range(17)]),
        "at most 16 arrays, not 17",
    ),
    "a gap in the vector": (features(2, 7), "a gap or an overlap at element 6"),
    "an overlap in the vector": (features(2, 5), "a gap or an overlap at element 6"),
    "a gap at the start": ({"dense_position": 12}, "a gap or an overlap at element 0"),
    "dense elements less than none": (
        {"dense": -2} | {"hidden": (Layer(inputs=10, outputs=8), Layer(inputs=8, outputs=5))},
        "dense must be at least 0, not -2",
    ),
    "one slot": ({"vector_slots": 1}, "vector_slots must be at least 2, not 1"),
    "one read in flight": ({"outstanding": 1}, r"outstanding must be 2 to 64 \(AXI IDs\), not 1"),
    "more reads than IDs": ({"outstanding": 65}, r"outstanding must be 2 to 64 \(AXI IDs\), not 65"),
    "a part of no feature": (sources(WHOLE, POOLED.replace(feature=2)), "no feature 2"),
    "a part of a negative feature": (sources(WHOLE, POOLED.replace(feature=-1)), "no feature -1"),
    "rows beyond the table": (sources(WHOLE.replace(rows=11), POOLED), "leaves the table of feature 0"),
    "rows before the table": (sources(WHOLE.replace(row_first=-1), POOLED), "leaves the table of feature 0"),
    "columns beyond the row": (sources(WHOLE.replace(column_first=1), POOLED), "leaves the table of feature 0"),
    "a part without rows": (sources(WHOLE.replace(rows=0), POOLED), "leaves the table of feature 0"),
    "a row that is stored nowhere": (sources(WHOLE.replace(rows=9), POOLED), "feature 0: .* exactly once"),
    "a feature that is stored nowhere": (sources(WHOLE), "feature 1: .* exactly once"),
    "a row that is stored twice": (sources(WHOLE, WHOLE, POOLED), "feature 0: .* exactly once"),
    "parts that overlap and leave as much out": (
        sources(WHOLE.replace(rows=5), WHOLE.replace(row_first=4, rows=5), POOLED),
        "feature 0: .* exactly once",
    ),
}


@pytest.mark.parametrize(("changes", "message"), ILLEGAL.values(), ids=list(ILLEGAL))
def test_names_the_rule_that_is_broken(changes, message):
    with pytest.raises(ValueError, match=message):
        engine(**changes)


LEGAL = {
    "as it is": {},
    "split by rows": sources(WHOLE.replace(rows=3), WHOLE.replace(row_first=3, rows=7), POOLED),
    "a pooled feature split by columns": sources(
        WHOLE, POOLED.replace(columns=5), POOLED.replace(column_first=5, columns=3)
    ),
    "both layers on one array": arrays((4, 4, 4, (0, 1))),
    "a source without parts": {"sources": (*sources(WHOLE, POOLED)["sources"], Source(kind=SourceKind.HBM, parts=()))},
}


@pytest.mark.parametrize("changes", LEGAL.values(), ids=list(LEGAL))
def test_allows_what_the_rules_allow(changes):
    config = engine(**changes)
    assert EngineConfig.from_json(config.to_json()) == config


BROKEN_MEMBERS = [
    (lambda: Feature(rows=0, dim=4, position=0), "feature rows must be at least 1, not 0"),
    (lambda: Feature(rows=1, dim=0, position=0), "feature dim must be at least 1, not 0"),
    (lambda: Feature(rows=1, dim=1, lookups=0, position=0), "feature lookups must be at least 1, not 0"),
    (lambda: Array(pes=3, lanes=1, drain=1, layers=(0,)), "even number of PEs .* not 3"),
    (lambda: Array(pes=0, lanes=1, drain=1, layers=(0,)), "even number of PEs .* not 0"),
    (lambda: Array(pes=4098, lanes=1, drain=1, layers=(0,)), "at most 4096 PEs, not 4098"),
    (lambda: Array(pes=2, lanes=0, drain=1, layers=(0,)), "at least 1, not 0 and 1"),
    (lambda: Array(pes=2, lanes=1, drain=0, layers=(0,)), "at least 1, not 1 and 0"),
    (lambda: Array(pes=2, lanes=1, drain=1, layers=()), "at least one layer"),
]


@pytest.mark.parametrize(("build", "message"), BROKEN_MEMBERS)
def test_members_check_themselves(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_is_read_back_from_its_json():
    config = engine()
    again = EngineConfig.from_json(config.to_json())
    assert again == config
    assert again.digest == config.digest
    assert len(config.digest) == 64


def test_digest_tells_configurations_apart():
    assert len({engine().digest, engine(watchdog=7).digest, engine(name="other").digest}) == 3


@pytest.mark.parametrize(
    "text", [b"{}", b"not json", engine().to_json().replace(b'"dense"', b'"danse"'), b'{"name": 5}']
)
def test_refuses_other_json(text):
    with pytest.raises(msgspec.DecodeError):
        EngineConfig.from_json(text)


def test_illegal_json_names_the_rule():
    text = engine().to_json().replace(b'"vector_slots": 4', b'"vector_slots": 1')
    with pytest.raises(msgspec.ValidationError, match="vector_slots must be at least 2, not 1"):
        EngineConfig.from_json(text)


def test_is_frozen_and_checked_again_when_replaced():
    config = engine()
    with pytest.raises(AttributeError):
        config.dense = 3
    assert config.replace(watchdog=9).watchdog == 9
    with pytest.raises(ValueError, match="outstanding"):
        config.replace(outstanding=100)


def test_derives_sizes():
    config = engine()
    assert (config.vector_elements, config.lookups, config.channels) == (14, 4, (0,))
    assert (config.input_lanes, config.output_lanes, config.multipliers) == (4, 6, 4 * 4 + 2 * 2)
    assert config.layers == (*config.hidden, config.output)
    assert small_config(elements=3).input_lanes == small_config(elements=3).output_lanes == 16


WIDTHS = [
    # precision; bits of an element, of a logit and of a sum of 14 products, elements of a beat; signed
    (Precision.FIXED16, (16, 16, 36, 16), True),
    (Precision.FIXED32, (32, 32, 68, 8), True),
    (Precision.INT8, (8, 16, 32, 32), False),
]


@pytest.mark.parametrize(("precision", "sizes", "signed"), WIDTHS)
def test_widths_follow_the_precision(precision, sizes, signed):
    config = engine(precision=precision)
    found = (precision.width, precision.logit_width, config.accumulator_width, config.elements_per_beat)
    assert (found, precision.signed) == (sizes, signed)

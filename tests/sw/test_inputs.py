"""What the driver refuses, and how items look on the input stream."""

import numpy as np
import pytest

from microduet.errors import InputError
from microduet.inputs import check_batch
from microduet.packets import pack_items, packet_beats
from microduet.presets import compile_config
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import EngineConfig
from microduet_hw.lookup.geometry import packet_words

TABLES = [(10, 4, 1), (20, 4, 2), (3, 2, 1)]


def config(*, dense: int = 3, precision: str = "fixed16", lookups: int = 2) -> EngineConfig:
    tables = [TABLES[0], (20, 4, lookups), TABLES[2]]
    layers = perceptron(10 + dense, (8, 1))
    shape = ModelShape(
        name="t", features=concatenated(tables), dense=dense, dense_position=10, hidden=layers[:-1], output=layers[-1]
    )
    return compile_config(shape, precision=precision)


SPARSE = np.array([[9, 19, 0, 2], [0, 0, 0, 0]], np.int64)
DENSE = np.zeros((2, 3), np.float32)


def with_id(value: int, item: int, column: int) -> np.ndarray:
    result = SPARSE.copy()
    result[item, column] = value
    return result


def with_dense(value: float) -> np.ndarray:
    result = DENSE.copy()
    result[1, 2] = value
    return result


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint16, np.uint8])
def test_takes_integers_that_fit(dtype: type) -> None:
    sparse, dense = check_batch(config(), SPARSE.astype(dtype), DENSE)
    assert sparse.dtype == np.int64
    np.testing.assert_array_equal(sparse, SPARSE)
    assert dense is not None


def test_takes_arrays_that_are_not_contiguous() -> None:
    sparse, _ = check_batch(config(), np.asfortranarray(SPARSE), DENSE)
    assert sparse.flags.c_contiguous


REFUSED = [
    ([[0, 0, 0, 0]], DENSE[:1], "sparse must be a numpy array of int64, not list"),
    (SPARSE.astype(np.float32), DENSE, "sparse must have dtype int64, not float32"),
    (SPARSE.astype(bool), DENSE, "sparse must have dtype int64, not bool"),
    (SPARSE.astype(np.uint64), DENSE, "sparse must have dtype int64, not uint64"),
    (SPARSE[:, :3], DENSE, r"sparse must have shape \(items, 4\), not \(2, 3\)"),
    (SPARSE[0], DENSE, r"sparse must have shape \(items, 4\), not \(4,\)"),
    (SPARSE[:0], DENSE[:0], "sparse must hold at least one item, not 0"),
    (with_id(-1, 1, 0), DENSE, r"sparse\[1, 0\] must be 0 to 9 \(feature 0\), not -1"),
    (with_id(20, 0, 2), DENSE, r"sparse\[0, 2\] must be 0 to 19 \(feature 1\), not 20"),
    (with_id(3, 1, 3), DENSE, r"sparse\[1, 3\] must be 0 to 2 \(feature 2\), not 3"),
    (SPARSE, None, r"dense must be float32 of shape \(2, 3\), not None"),
    (SPARSE, [[0.0]], "dense must be a numpy array of float32, not list"),
    (SPARSE, DENSE.astype(np.float64), "dense must have dtype float32, not float64"),
    (SPARSE, DENSE[:1], r"dense must have shape \(2, 3\), not \(1, 3\)"),
    (SPARSE, with_dense(np.nan), r"dense\[1, 2\] must be finite, not nan"),
    (SPARSE, with_dense(-np.inf), r"dense\[1, 2\] must be finite, not -inf"),
]


@pytest.mark.parametrize(("sparse", "dense", "message"), REFUSED, ids=range(len(REFUSED)))
def test_says_what_is_wrong_where_and_what_is_allowed(sparse: object, dense: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_batch(config(), sparse, dense)


def test_refuses_dense_features_that_the_model_does_not_have() -> None:
    with pytest.raises(InputError, match="has no dense features: dense must be None, not ndarray"):
        check_batch(config(dense=0), SPARSE, DENSE)


@pytest.mark.parametrize(("precision", "width"), [("fixed16", 2), ("fixed32", 4), ("int8", 1)])
@pytest.mark.parametrize("lookups", [1, 12, 13, 14, 40])
def test_packets_hold_tag_indices_and_dense_on_fresh_beats(precision: str, width: int, lookups: int) -> None:
    engine = config(precision=precision, lookups=lookups, dense=5)
    generator = np.random.default_rng(lookups)
    sparse = generator.integers(0, 2**32, (7, engine.lookups))
    low, high = (0, 256) if precision == "int8" else (-(1 << (8 * width - 1)), 1 << (8 * width - 1))
    dense = generator.integers(low, high, (7, 5))
    tags = generator.integers(0, 2**32, 7)
    words = pack_items(engine, sparse=sparse, dense=dense, tags=tags)
    beats = -(-(1 + engine.lookups) // 16)
    assert words.shape == (7, 16 * packet_beats(engine)) == (7, 16 * (beats + 1))
    for item in range(7):
        packet = words[item].tobytes()
        placed = dict(zip([0, *packet_words(engine)], [tags[item], *sparse[item]], strict=True))
        head = b"".join(int(placed[word]).to_bytes(4, "little") for word in sorted(placed))
        tail = b"".join(int(v).to_bytes(width, "little", signed=precision != "int8") for v in dense[item])
        assert packet == head.ljust(64 * beats, b"\0") + tail.ljust(64, b"\0")


def test_packets_without_dense_have_no_beat_for_it() -> None:
    words = pack_items(config(dense=0), sparse=SPARSE)
    assert words.shape == (2, 16)
    assert words[:, 0].tolist() == [0, 1]

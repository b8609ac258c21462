"""Item packets, word by word."""

import functools

import numpy as np
import pytest

from microduet.boards import find
from microduet.packets import pack_items, packet_beats
from microduet.placement import place
from microduet.presets import engine_config
from microduet.trace import trace
from microduet_hw.config import Array, EngineConfig, Payload, Precision, UserPart
from microduet_hw.lookup.geometry import packet_words
from tests.sw.cases import Mixed


@functools.cache
def mixed(precision: str) -> EngineConfig:
    shape = trace(Mixed()).shape
    arrays = (Array(pes=8, lanes=4, drain=4, layers=(0, 1)),)
    plan = place(shape, precision=Precision(precision), board=find("u280"))
    return engine_config(shape, precision=Precision(precision), arrays=arrays, plan=plan)


@pytest.mark.parametrize(
    ("precision", "kind", "dense"),
    [
        ("fixed16", "<i2", [[-1, 2, -32768], [5, 6, 32767]]),
        ("fixed32", "<i4", [[-1, 2, -(1 << 31)], [5, 6, (1 << 31) - 1]]),
        ("int8", "<u1", [[255, 2, 0], [5, 6, 128]]),
    ],
)
def test_a_packet_is_a_header_then_ids_then_dense_elements(precision: str, kind: str, dense: list) -> None:
    config = mixed(precision)
    sparse = np.arange(12).reshape(2, 6) + 100
    packets = pack_items(config, sparse=sparse, dense=np.array(dense))
    assert packet_beats(config) == 2
    assert (packets.dtype, packets.shape) == (np.uint32, (2, 32))
    for number in range(2):
        wanted = np.zeros(32, np.uint32)
        wanted[0] = number
        wanted[1:7] = sparse[number]
        wanted.view(np.uint8)[64 : 64 + 3 * int(kind[2])] = np.array(dense[number]).astype(kind).view(np.uint8)
        np.testing.assert_array_equal(packets[number], wanted)
    tagged = pack_items(config, sparse=sparse, tags=np.array([9, 4]), queries=np.array([1, 1], np.uint32))
    assert tagged[:, 0].tolist() == [9, 4]
    np.testing.assert_array_equal(tagged[:, 1:7], sparse)  # no word for a query: the engine knows none
    assert not tagged[:, 7:].any()


def test_a_packet_for_users_names_its_query() -> None:
    user = UserPart(layer=0, payload=Payload.VECTOR, elements=4)
    config = mixed("fixed16").replace(user=user)
    sparse = np.arange(12).reshape(2, 6) + 100
    packets = pack_items(config, sparse=sparse, queries=np.array([7, 8], np.uint32))
    assert packets[:, :2].tolist() == [[0, 7], [1, 8]]
    np.testing.assert_array_equal(packets[:, list(packet_words(config))], sparse)
    assert pack_items(config, sparse=sparse)[:, 1].tolist() == [0, 0]

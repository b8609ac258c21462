"""The golden user model against plain Python integers, and what it refuses."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from microduet.duet import golden as golden_module
from microduet.duet.golden import GoldenUser, StaticMemo
from microduet.duet.users import random_users
from microduet.errors import InputError
from microduet.golden_math import scaled
from tests.sw import arithmetic
from tests.sw.duet.users import NAMES, integers, quantised


def test_shares_nothing_with_the_gateware_but_configuration_and_weights() -> None:
    allowed = {f"microduet_hw.{name}" for name in ("config", "stack", "quantised", "edge.config", "edge.model")}
    tree = ast.parse(Path(str(golden_module.__file__)).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.startswith("microduet_")} <= allowed


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("name", NAMES)
def test_every_stage_equals_plain_integers(name: str, bits: int) -> None:
    model, config, user = quantised(name, bits)
    histories, static, context = integers(model, user, random_users(model, users=2, seed=4))
    result = GoldenUser(config=config, model=user.model).run(histories, static, context)
    edge = user.model
    for one in range(2):
        sums = [sum(column) for group in histories for column in zip(*group[one].tolist(), strict=True)]
        assert result.sums[one].tolist() == sums
        bottom: list[int] = []
        for layers, given, found in ((edge.static, static, result.static), (edge.dynamic, context, result.dynamic)):
            values = [] if given is None else given[one].tolist()
            for number, layer in enumerate(layers):
                values = arithmetic.layer(layer, values, width=16, logit=False)
                assert found[number][one].tolist() == values
            bottom += values
        values = [byte(v, edge.pooled_multiplier, edge.zero_point) for v in sums]
        values += [byte(v, edge.bottom_multiplier, edge.zero_point) for v in bottom]
        assert result.inputs[one].tolist() == values
        for number, layer in enumerate(edge.top):
            values = arithmetic.layer(layer, values, width=8, logit=False)
            assert result.top[number][one].tolist() == values
        assert result.payload[one].tolist() == values


def byte(value: int, multiplier: np.float32, zero_point: int) -> int:
    return arithmetic.int8_output(value, multiplier=multiplier, zero_point=zero_point, relu=False, logit=False)


def test_sums_of_any_size_are_quantised_as_in_integers() -> None:
    _, config, user = quantised("small", 32)
    golden = GoldenUser(config=config, model=user.model)
    generator = np.random.default_rng(7)
    sums = generator.integers(-(1 << 40), 1 << 40, (4000, 1)) >> generator.integers(0, 40, (4000, 1))
    for multiplier in (user.model.pooled_multiplier, np.float32(2**-33), np.float32(0.3), np.float32(2**-20 * 1.7)):
        found = scaled(torch.from_numpy(sums), torch.tensor(multiplier)).numpy() + user.model.zero_point
        assert np.array_equal(golden.quantised(sums, multiplier), np.clip(found, 0, 255))


def test_an_empty_history_sums_to_zero() -> None:
    model, config, user = quantised("small")
    histories, static, context = integers(model, user, random_users(model, users=3))
    empty = [group[:, :0] for group in histories]
    result = GoldenUser(config=config, model=user.model).run(empty, static, context)
    assert not result.sums.any()
    assert (result.inputs[:, : config.pooled_elements] == user.model.zero_point).all()


def test_a_memo_computes_each_users_static_part_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, config, user = quantised("small")
    histories, static, context = integers(model, user, random_users(model, users=4, seed=6))
    assert static is not None
    golden = GoldenUser(config=config, model=user.model)
    memo, computed = StaticMemo(golden), list[int]()
    whole = golden.static
    monkeypatch.setattr(golden, "static", lambda values: computed.append(len(values)) or whole(values))
    sums = np.concatenate([entries.sum(axis=1) for entries in histories], axis=1)
    for order in ([0, 1], [1, 0, 2], [3, 2, 1]):
        found = golden.run_sums(sums[order], static[order], None if context is None else context[order], memo)
        expected = golden.run(
            [group[order] for group in histories], static[order], None if context is None else context[order]
        )
        assert np.array_equal(found.payload, expected.payload)
        computed.pop()
    assert computed == [2, 1, 1]
    monkeypatch.setattr(golden_module, "MEMO_USERS", 3)
    memo.outputs(static[:1])
    assert np.array_equal(memo.outputs(static)[0], whole(static)[-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, s, c: (h[:1], s, c), "histories must be 2 arrays, not 1"),
        (lambda h, s, c: ([h[0][:, :, :3], h[1]], s, c), r"history 0 must be \(3, entries, 4\), not \(3, 5, 3\)"),
        (lambda h, s, c: ([np.repeat(h[0], 2, axis=1), h[1]], s, c), "history 0 keeps 5 entries, not 10"),
        (lambda h, s, c: ([h[0], h[1] + (1 << 31)], s, c), "history 1 has elements of more than 32 bits"),
        (lambda h, s, c: (h, s[:, 1:], c), r"static must be \(3, 6\), not \(3, 5\)"),
        (lambda h, s, c: (h, s, None), r"context must be \(3, 2\), not None"),
        (lambda h, s, c: (h, s, c + (1 << 16)), "context must fit 16 bits"),
    ],
)
def test_refuses(change: object, message: str) -> None:
    model, config, user = quantised("small")
    given = integers(model, user, random_users(model, users=3))
    with pytest.raises(InputError, match=message):
        GoldenUser(config=config, model=user.model).run(*change(*given))  # type: ignore[operator]

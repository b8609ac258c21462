"""An engine that ranks for users, its weights and what it knows of users checked between queries."""

import numpy as np
import pytest

import microduet as md
from microduet.errors import DeviceError
from microduet.queries.device import QueryDevice
from microduet_hw.config import CHECKSUM_BITS
from microduet_hw.image import parameter_beats, user_beats, weight_beats
from microduet_hw.loader import Target
from tests.sw.duet.test_compile import BOARD
from tests.sw.queries.systems import Small, small_config
from tests.sw.queries.test_device import check


@pytest.fixture(scope="module")
def checked(system: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("checked")
    board = folder / "four.toml"
    board.write_text(BOARD)
    config = small_config(str(board), split="duet").replace(checksum_bits=CHECKSUM_BITS)
    engine = md.compile(system.model, board=str(board), config=config, user=system.edge, out=folder / "engine")
    return Small(model=system.model, edge=system.edge, engine=engine)


def ask(device: QueryDevice, system: Small, rng: np.random.Generator) -> None:
    question = system.question(20, rng)
    (reply,) = device.ask([question])
    check(system, question, reply)


def test_a_changed_bit_is_found_between_queries(checked: Small) -> None:
    rng = np.random.default_rng(11)
    config, model = checked.engine.config, checked.engine.engine_model
    with QueryDevice(checked.engine) as device:
        device.check_weights()
        ask(device, checked, rng)
        device.check_weights()
        for beats, part in ((weight_beats, "weights of layer 0"), (parameter_beats, "parameters of layer 0")):
            changed = beats(config, model)[:1]
            changed[0, 0] ^= 1 << 5
            changed[0, 15] |= 1 << 24  # a word of several chunks is written all the same, from what is there of them
            device.simulator.load(changed)
            with pytest.raises(DeviceError, match=f"has changed: {part}; reload"):
                device.check_weights()
            device.reload()
            device.check_weights()
            ask(device, checked, rng)


USERS = {
    Target.MODEL: "constants of users",
    Target.USER_WEIGHTS: "weights of users",
    Target.USER_BIAS: "biases of users",
}
KEPT = 4
"""Bytes at the beginning of each of their rows that the engine keeps."""


def rows_of_users(system: Small, target: Target) -> list[np.ndarray]:
    """Their rows as the beats that load them, (chunks, 64) bytes each."""
    assert system.engine.user is not None
    raw = user_beats(system.engine.config, system.engine.user).view(np.uint8).reshape(-1, 64)
    own = raw[raw[:, 62] == target]
    return np.split(own, np.flatnonzero(own[:, 63])[:-1] + 1)


def test_a_changed_bit_in_what_users_add_is_found_and_a_reload_repairs_it(checked: Small) -> None:
    rng = np.random.default_rng(12)
    with QueryDevice(checked.engine) as device:
        for target, part in USERS.items():
            rows = rows_of_users(checked, target)
            for _ in range(3):
                changed = rows[rng.integers(len(rows))].copy()
                changed[0, rng.integers(KEPT)] ^= np.uint8(1 << rng.integers(8))
                device.simulator.load(np.ascontiguousarray(changed).view("<u4"))
                with pytest.raises(DeviceError, match=f"^what was loaded has changed: {part}; reload writes it again$"):
                    device.check_weights()
                device.reload()
                device.check_weights()
                ask(device, checked, rng)

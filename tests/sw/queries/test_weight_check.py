"""An engine that ranks for users, its weights checked between queries."""

import numpy as np
import pytest

import microduet as md
from microduet.errors import DeviceError
from microduet.queries.device import QueryDevice
from microduet_hw.config import CHECKSUM_BITS
from microduet_hw.image import parameter_beats, weight_beats
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

"""The driver on edge units whose weights are checked: a changed bit is found, wherever it is, and named."""

import functools
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet.edge.bundle import EdgeBundle, EdgeScales, write_bundle
from microduet.edge.compile import EdgeOptions
from microduet.edge.device import EdgeDevice
from microduet.errors import DeviceError, InputError
from microduet.gateware import verilog
from microduet_hw.config import AXI_BYTES, CHECKSUM_BITS
from microduet_hw.edge.check_image import weight_checks
from microduet_hw.edge.config import stream_rows
from microduet_hw.edge.image import load_beats, stream_tables
from microduet_hw.edge.message import EdgeStatus, Kind
from microduet_hw.edge.weight_stream import DEPTH
from microduet_hw.registers import register_map
from microduet_hw.weight_check import WeightCheck
from microduet_sim.batch import Stalls
from microduet_sim.messages import MessageSimulator
from tests.support.edge import UNITS
from tests.support.edge_sessions import Session, check_answer, random_edge_model
from tests.sw.edge.loaded import bits_of, flipped, parts, rows_of
from tests.sw.edge.units import bundle

CASES = ("sram", "streamed")


@functools.cache
def compiled(case: str) -> EdgeBundle:
    """A random model for a small unit: weights of all MLPs in the elements, or all but the dynamic one's streamed."""
    config = UNITS[case].replace(checksum_bits=CHECKSUM_BITS)
    model = random_edge_model(config, np.random.default_rng(17))
    folder = Path(tempfile.mkdtemp(prefix="microduet-edge-"))
    return write_bundle(folder / "bundle", name=case, config=config, model=model, scales=EdgeScales(element=8))


@pytest.fixture(scope="module", params=CASES)
def opened(request: pytest.FixtureRequest) -> Iterator[EdgeDevice]:
    with md.open(compiled(request.param)) as device:
        yield device


@pytest.fixture
def device(opened: EdgeDevice) -> EdgeDevice:
    """The unit as it was loaded, without stalls."""
    opened.simulator.set_stalls(Stalls())
    opened.reload()
    return opened


class Talk:
    """A session with a unit; every answer is the reference's."""

    def __init__(self, device: EdgeDevice, *, seed: int = 1) -> None:
        self.device, self.config, self.model = device, device.bundle.config, device.bundle.model
        self.session = Session(self.config, self.model, np.random.default_rng(seed), bad=0)
        made = [self.session.make(Kind.CLEAR, group) for group in range(len(self.config.histories))]
        self.send([*made, self.session.make(Kind.STATIC), self.session.make(Kind.FENCE)])

    def go_on(self, count: int = 40) -> None:
        self.send([self.session.message() for _ in range(count)])

    def send(self, made: list) -> None:
        answers = self.device.exchange([message for message, _ in made]).answers
        wrong = [check_answer(a, e, self.model) for a, (_, e) in zip(answers, made, strict=True)]
        assert [line for line in wrong if line] == []


def said(*names: str) -> str:
    return f"^what was loaded has changed: {', '.join(names)}; reload writes it again$"


def flip_in_memory(device: EdgeDevice, name: str, rng: random.Random) -> None:
    """Change a bit of the streamed weights of an MLP."""
    config = device.bundle.config
    channel = rng.choice(config.stream_channels(name))
    table = stream_tables(config, device.bundle.model)[config.channels.index(channel)].view(np.uint8)
    row = rng.randrange(len(table))
    beat = table[row].copy()
    beat[rng.randrange(AXI_BYTES)] ^= np.uint8(1 << rng.randrange(8))
    device.simulator.write_memory(channel, row * AXI_BYTES, beat)


def test_weights_that_nobody_changed_pass_and_no_answer_differs(device: EdgeDevice) -> None:
    talk = Talk(device)
    for stalls in (0.0, 0.4, 0.0):
        device.set_stalls(stalls, seed=3)
        device.check_weights()
        talk.go_on()
    talk.send([talk.session.make(Kind.STATIC)])  # its update goes on when the check comes
    device.check_weights()
    talk.go_on()


def test_a_changed_bit_is_found_and_named_in_every_part(device: EdgeDevice) -> None:
    seed = random.getrandbits(32)
    print("seed", seed)
    rng, config = random.Random(seed), device.bundle.config
    beats = load_beats(config, device.bundle.model)
    assert sorted(parts(config)) == sorted(check.name for check in weight_checks(config, device.bundle.model))
    for part in parts(config):
        rows = rows_of(config, beats, part)
        for row in rng.sample(rows, min(3, len(rows))):
            device.simulator.load(flipped(row, rng.randrange(bits_of(config, part))))
            with pytest.raises(DeviceError, match=said(part)):
                device.check_weights()
            device.simulator.load(row.view("<u4"))
    device.check_weights()


def test_all_that_has_changed_is_named_and_a_reload_repairs_it(device: EdgeDevice) -> None:
    talk, config = Talk(device), device.bundle.config
    beats = load_beats(config, device.bundle.model)
    changed = ["parameters of layer 0 of the dynamic MLP", "parameters of layer 1 of the top MLP"]
    for part in changed:
        device.simulator.load(flipped(rows_of(config, beats, part)[0], 7))
    with pytest.raises(DeviceError, match=said(*changed)):
        device.check_weights()
    device.reload()
    device.check_weights()
    talk.go_on()


@pytest.fixture(scope="module")
def opened_streamed() -> Iterator[EdgeDevice]:
    with md.open(compiled("streamed")) as device:
        yield device


@pytest.fixture
def streamed(opened_streamed: EdgeDevice) -> EdgeDevice:
    opened_streamed.reload()
    return opened_streamed


@pytest.mark.parametrize("name", ["static", "top"])
def test_a_changed_bit_in_memory_is_found_and_a_reload_repairs_it(streamed: EdgeDevice, name: str) -> None:
    talk, rng = Talk(streamed), random.Random(name)
    for _ in range(4):
        flip_in_memory(streamed, name, rng)
        with pytest.raises(DeviceError, match=said(f"streamed weights of the {name} MLP")):
            streamed.check_weights()
        streamed.reload()
        streamed.check_weights()
        talk.go_on()


def test_a_payload_says_that_streamed_weights_were_others(streamed: EdgeDevice) -> None:
    """Those that were read ahead are right, and so are their payloads."""
    talk = Talk(streamed)
    flip_in_memory(streamed, "top", random.Random(5))
    message = streamed.message(Kind.QUERY, [0] * 5)
    right = streamed.exchange([message]).answers[0].payload.tolist()
    statuses = [EdgeStatus.OK]
    while statuses[-1] == EdgeStatus.OK:
        (answer,) = streamed.exchange([message]).answers
        statuses.append(answer.status)
        assert answer.status or answer.payload.tolist() == right, "a wrong payload came unannounced"
    assert statuses[-1] == EdgeStatus.WEIGHT_CHECK
    with pytest.raises(DeviceError, match=r"query failed: weight check$"):
        streamed.infer(np.zeros(5))
    streamed.reload()
    assert streamed.infer(np.zeros(5)).values.tolist() == right
    talk.go_on()


def test_static_weights_that_were_others_leave_the_old_value(streamed: EdgeDevice) -> None:
    kept = [streamed.set_static(np.ones(40))]
    flip_in_memory(streamed, "static", random.Random(6))

    def go_on() -> None:
        for _ in range(DEPTH):
            kept.append(streamed.set_static(np.zeros(40)))

    with pytest.raises(DeviceError, match=r"fence failed: weight check$"):
        go_on()
    assert streamed.infer(np.zeros(5)).statics == kept[-1]
    streamed.reload()
    assert streamed.set_static(np.zeros(40)) != kept[-1]


def test_a_check_takes_the_cycles_that_it_should(device: EdgeDevice) -> None:
    """A beat is taken every ``LATENCY + 1 + steps`` cycles."""
    for check in weight_checks(device.bundle.config, device.bundle.model):
        before = device.simulator.counters().engine_cycles
        device.simulator.load(check.beats)
        found = device.simulator.counters().engine_cycles - before
        asks = int((check.beats.view(np.uint8)[:, -1] > 0).sum())
        due = len(check.beats) + WeightCheck.LATENCY * asks + len(check.words)
        assert 16 <= found - due < 24, check.name


def test_a_pass_is_read_anew_in_the_cycles_that_memory_takes(streamed: EdgeDevice) -> None:
    config = streamed.bundle.config
    before = streamed.registers["channel_00_reads"]
    streamed.check_weights()
    rows = stream_rows(config.streams["static"])
    passes = 1 + -(-DEPTH // rows)
    assert streamed.registers["channel_00_reads"] - before == passes * -(-rows // 16)


def test_check_beats_that_changed_on_the_way_are_no_verdict(
    monkeypatch: pytest.MonkeyPatch, device: EdgeDevice
) -> None:
    load = MessageSimulator.load

    def damaged(simulator: MessageSimulator, beats: np.ndarray) -> None:
        changed = beats.copy()
        changed[:1, 0] ^= 1
        load(simulator, changed)

    monkeypatch.setattr(MessageSimulator, "ask", damaged)
    with pytest.raises(DeviceError, match="the edge unit took other check beats than were sent: their CRC is"):
        device.check_weights()


def test_a_unit_without_the_check_says_so_and_can_be_loaded_again() -> None:
    unit = bundle()
    assert "checked" not in register_map(unit.config)
    assert b"checksum_bits" not in unit.config.to_json()
    with md.open(unit) as device:
        with pytest.raises(InputError, match=r"must be compiled with EdgeOptions\(weight_check=True\)"):
            device.check_weights()
        device.reload()
        device.close()
        with pytest.raises(DeviceError, match="the device is closed"):
            device.reload()


def test_a_unit_without_the_check_has_none_of_its_gateware() -> None:
    """Whose sums would be called so; the loader's own is in both."""
    plain, checked = (" ".join(verilog(unit.config).values()) for unit in (bundle(), compiled("streamed")))
    for name in ("read_sum", "pass_sum"):
        assert name in checked
        assert name not in plain
    assert "taken_sum" in plain


def test_a_closed_unit_says_so() -> None:
    with md.open(compiled("sram")) as device:
        device.close()
        for act in (device.check_weights, device.reload):
            with pytest.raises(DeviceError, match="the device is closed"):
                act()


def test_the_option_is_the_configuration_s() -> None:
    assert bundle(weight_check=True).config == bundle().config.replace(checksum_bits=CHECKSUM_BITS)
    assert EdgeOptions().weight_check is False

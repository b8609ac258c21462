"""What the driver loads, compares and asks for again, on a double of an engine, and registers by name."""

import zlib

import numpy as np
import pytest

from microduet.bundle import Bundle
from microduet.errors import DeviceError, InputError
from microduet.loading import engine_checks, send_checked
from microduet.register_access import Registers
from microduet_hw.check_image import weight_checks
from microduet_hw.image import load_beats
from tests.sw.engine_double import Double, Doubled, build_nothing, compiled


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    return build_nothing(monkeypatch)


@pytest.fixture
def device(built: list[tuple]) -> Doubled:
    return Doubled(compiled())


def test_an_engine_of_another_configuration_is_refused(built: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Double, "digest_off", 1)
    digest = int(compiled().config.digest[:8], 16)
    with pytest.raises(DeviceError) as raised:
        Doubled(compiled())
    assert str(raised.value) == f"the engine is of configuration {digest ^ 1:08x}, not {digest:08x}"


def test_weights_that_arrive_changed_are_refused(built: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Double, "damaged", True)
    bundle = compiled()
    sent = zlib.crc32(load_beats(bundle.config, bundle.engine_model, bundle.rows, bundle.user).tobytes(), 77)
    with pytest.raises(DeviceError) as raised:
        Doubled(bundle)
    said = f"the engine took other weights than were sent: their CRC is {sent ^ 1:08x}, not {sent:08x}"
    assert str(raised.value) == said


def test_other_weights_get_a_fresh_engine_of_the_same_build(built: list[tuple]) -> None:
    device, other = Doubled(compiled()), compiled(seed=1)
    first = device.simulator
    device.load(other)
    assert isinstance(first, Double)
    assert isinstance(device.simulator, Double)
    assert (first.ended, device.simulator is first, device.backend is device.simulator) == (1, False, True)
    assert (len(built), device.bundle) == (1, other)
    (beats,) = device.simulator.loaded
    np.testing.assert_array_equal(beats, load_beats(other.config, other.engine_model, other.rows, other.user))
    device.reload()
    np.testing.assert_array_equal(device.simulator.loaded[1], beats)


def test_a_bundle_of_another_engine_changes_nothing(device: Doubled) -> None:
    other = compiled(sigmoid=False)
    with pytest.raises(InputError) as raised:
        device.load(other)
    name = device.bundle.config.name
    assert str(raised.value) == f"bundle {other.path} is for engine {other.config.name}, not {name}"
    assert (device.bundle, device.backend.closed) == (compiled(), False)


def checks_of(bundle: Bundle) -> list[bytes]:
    return [check.words.tobytes() for check in weight_checks(bundle.config, bundle.engine_model)]


def test_weights_that_are_as_they_were_pass(built: list[tuple]) -> None:
    bundle = compiled(weight_check=True)
    device = Doubled(bundle)
    engine = device.simulator
    assert isinstance(engine, Double)
    for _ in range(2):  # the register goes on from what the first check left
        engine.checks = checks_of(bundle)
        device.check_weights()
    parts = weight_checks(bundle.config, bundle.engine_model)
    for asked, part in zip(engine.asked, [*parts, *parts], strict=True):
        np.testing.assert_array_equal(asked, part.beats)


def test_parts_that_have_changed_are_named(built: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = compiled(weight_check=True)
    device, names = Doubled(bundle), [check.name for check in weight_checks(bundle.config, bundle.engine_model)]
    engine = device.simulator
    assert isinstance(engine, Double)
    words = checks_of(bundle)
    for number in (0, -1):
        words[number] = bytes([words[number][0] ^ 1]) + words[number][1:]
    engine.checks = list(words)
    with pytest.raises(DeviceError) as raised:
        device.check_weights()
    said = f"what was loaded has changed: {names[0]}, {names[-1]}; reload writes it again"
    assert str(raised.value) == said
    monkeypatch.setattr(Double, "damaged", True)
    engine.checks = list(words)
    with pytest.raises(DeviceError, match=r"^the engine took other check beats than were sent: their CRC is"):
        device.check_weights()
    monkeypatch.setattr(Double, "broken", "it stands still")
    with pytest.raises(DeviceError, match=r"^it stands still$"):
        device.check_weights()


def test_an_engine_that_cannot_read_its_weights_says_so(device: Doubled) -> None:
    said = rf"^{device.bundle.config.name} must be compiled with Tuning\(weight_check=True\) to check its weights$"
    with pytest.raises(InputError, match=said):
        device.check_weights()
    with pytest.raises(InputError, match=said):
        engine_checks(device.bundle)


def test_a_unit_that_took_other_beats_is_named_with_them() -> None:
    engine = Double(compiled().config, None)
    registers = Registers(compiled().config, engine)
    beats = np.arange(32, dtype=np.uint32).reshape(2, 16)
    send_checked(engine.take, registers, beats, name="a unit")
    engine.damaged = True
    for named, what in (({}, "weights"), ({"what": "rows"}, "rows")):
        sent = zlib.crc32(beats.tobytes(), registers["loaded"])
        with pytest.raises(DeviceError) as raised:
            send_checked(engine.take, registers, beats, name="a unit", **named)
        said = f"a unit took other {what} than were sent: their CRC is {sent ^ 1:08x}, not {sent:08x}"
        assert str(raised.value) == said


def test_registers_go_by_name() -> None:
    engine = Double(compiled().config, None)
    registers = Registers(compiled().config, engine)
    registers["items"] = 12
    assert engine.log == [(0x10, 12)]
    assert registers["items"] == 12
    assert list(registers) == list(engine.map)
    address = engine.map["results"]
    engine.memory |= {address: 5, address + 4: 3}
    assert registers.wide("results") == 5 + (3 << 32)
    for call in (
        lambda: registers["itmes"],
        lambda: registers.wide("itmes"),
        lambda: registers.__setitem__("itmes", 1),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert str(raised.value) == f"register must be one of {', '.join(engine.map)}, not 'itmes'"

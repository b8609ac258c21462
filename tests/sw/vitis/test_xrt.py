"""The driver on a card: what XRT is told, in which order, and what is said where something is missing.

No card is here: pyxrt's interface is a double (`fake_pyxrt`). Results are the golden model's, made from the very beats
that the driver sends.
"""

import sys

import numpy as np
import pytest

import microduet as md
from microduet.errors import DeviceError, InputError
from microduet.images import table_images
from microduet.presets import Tuning
from microduet.vitis.connectivity import bytes_of
from microduet_hw.bases import base_map
from microduet_hw.check_image import weight_checks
from microduet_hw.image import load_beats
from microduet_hw.registers import Register, register_map
from microduet_hw.result import BEAT
from microduet_sim.tables import channel_beats
from tests.sw.cases import Mixed
from tests.sw.vitis.fake_pyxrt import Machine

ITEMS = 37


@pytest.fixture(scope="module")
def bundle():
    return md.compile(Mixed(), board="u55c")


@pytest.fixture
def xclbin(tmp_path):
    path = tmp_path / "card.xclbin"
    path.write_bytes(b"xclbin2\0")
    return path


def digest(bundle):
    return int(bundle.config.digest[:8], 16)


def result_beats(bundle, packets, given):
    """What the engine would answer to packets, which must be those of `given`."""
    sparse, dense = given
    expected = bundle.packets(sparse, dense)
    tags = packets[:, 0]
    assert (packets == expected[tags]).all()
    golden = bundle.golden().run(sparse[tags], None if dense is None else dense[tags])
    rows = [
        BEAT.const({"tag": int(tag), "logit": int(logit), "score": int(score)}).as_bits().to_bytes(16, "little")
        for tag, logit, score in zip(tags, golden.logits, golden.scores16, strict=True)
    ]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 16)


@pytest.fixture
def given(bundle):
    rows = [feature.rows for feature in bundle.shape.features for _ in range(feature.lookups)]
    generator = np.random.default_rng(3)
    dense = generator.standard_normal((ITEMS, bundle.shape.dense)).astype(np.float32)
    return generator.integers(0, rows, (ITEMS, len(rows))), dense


@pytest.fixture
def machine(bundle, given):
    registers = {Register.DIGEST: digest(bundle), register_map(bundle.config)["cycles"]: 4321}
    return Machine(registers=registers, answer=lambda packets: result_beats(bundle, packets, given))


@pytest.fixture
def opened(machine, bundle, xclbin, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxrt", machine.module())
    with md.open(bundle, backend="xrt", xclbin=xclbin) as device:
        yield device


def test_scores_come_back_as_from_the_simulator(opened, bundle, given):
    expected = bundle.golden().run(*given)
    scores = opened.infer(*given)
    assert scores.dtype == np.float32
    assert (scores == expected.scores16 / np.float32(65536)).all()
    assert (opened.infer(*given, raw=True) == expected.logits).all()
    assert opened.status == [0] * ITEMS


def test_a_run_is_started_before_its_items_and_awaits_its_results(opened, machine, given):
    machine.log.clear()
    opened.infer(*given)
    beats = opened.bundle.packets(*given).shape[1] // 16
    assert machine.log == [
        ("write", Register.ITEMS, ITEMS),
        ("write", Register.CONTROL, 1),
        ("start", "microduet_receive", ITEMS),
        ("start", "microduet_send_items", ITEMS * beats, beats),
    ]


def test_the_load_is_what_the_engine_needs_one_beat_a_packet(opened, machine, bundle):
    expected = load_beats(bundle.config, bundle.engine_model, bundle.rows, bundle.user)
    sent = machine.sent["microduet_send_load"]
    assert {packet for packet, _ in sent} == {1}
    assert (np.concatenate([beats for _, beats in sent]) == expected).all()


def test_a_check_sends_its_beats_and_nothing_else(machine, xclbin, monkeypatch):
    """The double's engine reads nothing, so that every part seems to have changed."""
    checked = md.compile(Mixed(), board="u55c", tuning=Tuning(weight_check=True))
    machine.registers[Register.DIGEST] = digest(checked)
    monkeypatch.setitem(sys.modules, "pyxrt", machine.module())
    checks = weight_checks(checked.config, checked.engine_model)
    with md.open(checked, backend="xrt", xclbin=xclbin) as device:
        machine.log.clear()
        machine.sent.clear()
        with pytest.raises(DeviceError, match=", ".join(check.name for check in checks)):
            device.check_weights()
    sent = np.concatenate([beats for _, beats in machine.sent["microduet_send_load"]])
    assert (sent == np.concatenate([check.beats for check in checks])).all()
    assert {entry[:2] for entry in machine.log} == {("start", "microduet_send_load")}


def test_each_channel_has_its_tables_in_the_memory_of_the_plan_and_its_base(opened, machine, bundle):
    config = bundle.config
    for channel, source in enumerate(config.channels):
        buffers = [buffer for buffer in machine.buffers if buffer.group == machine.memories[f"HBM[{channel}]"]]
        assert len(buffers) == 1
        [buffer] = buffers
        assert buffer.size() % 4096 == 0
        assert 0 <= buffer.size() - bytes_of(config, source) < 4096
        addresses = np.arange(0, buffer.size(), 32)
        contents = channel_beats(config, table_images(bundle), channel=channel, addresses=addresses)
        assert (buffer.card == contents.reshape(-1)).all()
        assert contents.any()
        at = base_map(config)[f"channel_{source:02}_base"]
        assert machine.registers[at] | machine.registers[at + 4] << 32 == buffer.address()


def test_the_engine_is_checked_before_anything_is_written(machine, bundle, xclbin, monkeypatch):
    machine.registers[Register.DIGEST] ^= 1
    monkeypatch.setitem(sys.modules, "pyxrt", machine.module())
    wrong = f"the engine is of configuration {digest(bundle) ^ 1:08x}, not {digest(bundle):08x}"
    with pytest.raises(DeviceError, match=wrong):
        md.open(bundle, backend="xrt", xclbin=xclbin)
    assert [entry[0] for entry in machine.log] == ["load_xclbin", "ip"]


def test_many_items_are_sent_in_steps(opened, machine, given, monkeypatch):
    seen = []
    beats = opened.bundle.packets(*given).shape[1] // 16
    monkeypatch.setattr("microduet.vitis.xrt.BUFFER_BYTES", 64 * beats * 16)
    machine.log.clear()
    opened.run(*given, progress=lambda items, cycles: seen.append((items, cycles)))
    counts = [entry[2] for entry in machine.log if entry[:2] == ("start", "microduet_receive")]
    assert counts == [16, 16, 5]
    assert [entry[2] for entry in machine.log if entry[0] == "write"] == [ITEMS, 1], "one run"
    assert seen == [(16, 4321), (32, 4321), (37, 4321)]


def test_idle_items_are_sent_one_by_one(opened, machine, given):
    machine.log.clear()
    opened.run(*given, mode="idle")
    assert [entry[2] for entry in machine.log if entry[:2] == ("start", "microduet_receive")] == [1] * ITEMS


def test_times_of_single_items_are_unknown_and_cycles_are_the_cards(opened, given):
    batch_of = opened.run(*given)
    for times in (batch_of.latency, batch_of.lookup_ns, batch_of.finished_us):
        assert np.isnan(times).all()
    assert batch_of.cycles == 4321
    assert batch_of.cycles_per_item == 4321 / ITEMS
    counters = opened.counters()
    assert counters["cycles"] == 4321
    assert "latency_p50" not in counters


def test_a_card_that_stops_answering_is_closed(opened, machine, given):
    machine.silent = True
    with pytest.raises(
        DeviceError, match=r"the card did not finish items 0 to 36 in 10 s: State.ERT_CMD_STATE_TIMEOUT"
    ):
        opened.infer(*given)
    with pytest.raises(DeviceError, match="the device is closed"):
        opened.infer(*given)


def test_closing_twice_is_allowed_and_ends_it(opened, given):
    opened.close()
    opened.close()
    with pytest.raises(DeviceError, match="the device is closed; open the bundle again"):
        opened.infer(*given)


ONLY_SIMULATED = [
    # what is asked, what is said
    (lambda d, given: d.run(*given, mode=np.arange(ITEMS)), InputError, "mode must be 'saturated' or 'idle' on a card"),
    (lambda d, given: d.send(d.bundle.packets(*given), beats=[1] * ITEMS), InputError, "sends whole packets"),
    (lambda d, _: d.set_stalls(0.5, seed=1), DeviceError, "set_stalls needs backend 'simulator'"),
    (lambda d, _: d.set_faults({}), DeviceError, "set_faults needs backend 'simulator'"),
]


@pytest.mark.parametrize(("ask", "kind", "message"), ONLY_SIMULATED, ids=range(len(ONLY_SIMULATED)))
def test_what_only_a_simulator_can_do_is_said(opened, given, ask, kind, message):
    with pytest.raises(kind, match=message):
        ask(opened, given)


def test_bad_input_is_refused_before_anything_is_sent(opened, machine, given):
    machine.log.clear()
    with pytest.raises(InputError):
        opened.infer(given[0] + (1 << 40), given[1])
    assert machine.log == []


def test_without_xrt_one_line_says_so(bundle, xclbin, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    with pytest.raises(DeviceError, match="backend xrt needs pyxrt, which comes with AMD's XRT") as raised:
        md.open(bundle, backend="xrt", xclbin=xclbin)
    assert "\n" not in str(raised.value)
    assert "without backend='xrt' to simulate it" in str(raised.value)


def test_access_to_registers_may_come_from_the_kernels_own_extension(machine, bundle, xclbin, given, monkeypatch):
    module = machine.module()
    monkeypatch.setitem(sys.modules, "pyxrt", machine.module(ip=False))
    monkeypatch.setitem(sys.modules, "microduet_ip", module)
    with md.open(bundle, backend="xrt", xclbin=xclbin) as device:
        assert len(device.infer(*given)) == ITEMS


MISSING = [
    # what is wrong with the machine, with the call, what is said
    ({"cards": 0}, {}, "backend xrt needs a card: XRT finds 0, so there is no number 0"),
    ({}, {"card": 3}, "XRT finds 1, so there is no number 3"),
    ({"memories": 0}, {}, r"the binary does not use HBM\[\d+\].*: link it with the kernel's connectivity.cfg"),
    ({"skew": 32}, {}, r"buffer of source \d+ begins at 0x\w+, not at a page of 4096 bytes"),
]


@pytest.mark.parametrize(("wrong", "options", "message"), MISSING, ids=range(len(MISSING)))
def test_what_is_missing_on_the_machine_is_said(bundle, xclbin, wrong, options, message):
    machine = Machine(registers={Register.DIGEST: digest(bundle)}, answer=None, **wrong)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyxrt", machine.module())
        with pytest.raises(DeviceError, match=message) as raised:
            md.open(bundle, backend="xrt", xclbin=xclbin, **options)
    assert "\n" not in str(raised.value)


def test_without_access_to_registers_the_extension_is_named(machine, bundle, xclbin, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxrt", machine.module(ip=False))
    monkeypatch.setitem(sys.modules, "microduet_ip", None)
    with pytest.raises(DeviceError, match=r"does not reach registers \(xrt::ip\): build microduet_ip.cpp"):
        md.open(bundle, backend="xrt", xclbin=xclbin)


def test_a_binary_must_be_there_and_be_one(machine, bundle, xclbin, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxrt", machine.module())
    with pytest.raises(InputError, match=r"missing.xclbin: no such file; xclbin must be what"):
        md.open(bundle, backend="xrt", xclbin=xclbin.with_name("missing.xclbin"))
    xclbin.write_bytes(b"text")
    with pytest.raises(DeviceError, match=r"card.xclbin: cannot be loaded: bad magic"):
        md.open(bundle, backend="xrt", xclbin=xclbin)


def test_backends_are_named(bundle, xclbin):
    with pytest.raises(InputError, match="backend must be 'simulator' or 'xrt', not 'cuda'"):
        md.open(bundle, backend="cuda")
    with pytest.raises(InputError, match="backend 'xrt' needs xclbin"):
        md.open(bundle, backend="xrt")

"""The driver of an edge unit: payloads are the golden model's, and every mistake has a name and changes nothing."""

from collections.abc import Iterator

import numpy as np
import pytest

import microduet as md
from microduet.duet.configure import steps
from microduet.duet.golden import GoldenUser
from microduet.edge.device import EdgeDevice
from microduet.edge.sessions import random_sessions
from microduet.errors import DeviceError, InputError
from microduet_hw.edge.message import EdgeStatus, Kind
from microduet_sim.batch import NO_PAUSE, Pause
from microduet_sim.messages import MessageSimulator
from tests.sw.edge.units import bundle, entries, longest

SMALL = bundle()
HISTORY = longest(SMALL)
STATIC = np.linspace(-1, 1, SMALL.config.static.inputs if SMALL.config.static else 0)
CONTEXT = np.linspace(1, -1, SMALL.config.dynamic.inputs if SMALL.config.dynamic else 0)


@pytest.fixture(scope="module")
def opened() -> Iterator[EdgeDevice]:
    with md.open(SMALL) as device:
        yield device


@pytest.fixture
def device(opened: EdgeDevice) -> EdgeDevice:
    """The unit with short histories of known contents."""
    opened.set_stalls(0, seed=0)
    for group in range(len(SMALL.config.histories)):
        opened.preload(known()[group], group=group)
    opened.set_static(STATIC)
    return opened


def golden(histories: list[list[np.ndarray]]) -> list[int]:
    """The payload for histories in float, with the static inputs and the context of these tests."""
    integers = [np.stack([SMALL.entry(g, e) for e in own])[None] for g, own in enumerate(histories)]
    model = GoldenUser(config=SMALL.config, model=SMALL.model)
    return model.run(integers, SMALL.static(STATIC)[None], SMALL.context(CONTEXT)[None]).payload[0].tolist()


def known() -> list[list[np.ndarray]]:
    """Histories of every test here: two entries, or one where there is no place for more."""
    return [entries(SMALL, min(2, h.slots), group=g, seed=g) for g, h in enumerate(SMALL.config.histories)]


def test_a_payload_is_the_golden_models(device: EdgeDevice) -> None:
    payload = device.infer(CONTEXT)
    assert payload.values.tolist() == golden(known())
    assert len(payload.values) == SMALL.config.payload_bytes
    assert (payload.version, payload.zero_point) == (SMALL.model.version, SMALL.model.top[-1].output_zero_point)
    assert payload.scale == SMALL.model.payload_scale


def test_a_click_replaces_the_oldest_entry(device: EdgeDevice) -> None:
    slots = SMALL.config.histories[HISTORY].slots
    clicked = entries(SMALL, slots + 1, seed=7)
    for entry in clicked:
        device.click(entry)
    histories = known()
    histories[HISTORY] = (histories[HISTORY] + clicked)[-slots:]
    assert device.infer(CONTEXT).values.tolist() == golden(histories)
    device.check()


def test_a_preload_forgets_what_was_there(device: EdgeDevice) -> None:
    new = entries(SMALL, 1, seed=9)
    device.preload(new)
    histories = known()
    histories[HISTORY] = new
    assert device.infer(CONTEXT).values.tolist() == golden(histories)


def test_a_bundle_is_opened_by_its_folder() -> None:
    with md.open(SMALL.path) as device:
        assert isinstance(device, EdgeDevice)


def test_static_inputs_are_kept_until_others_come(device: EdgeDevice) -> None:
    before = device.infer(CONTEXT).values.tolist()
    device.set_static(STATIC[::-1])
    device.set_static(STATIC)
    assert device.infer(CONTEXT).values.tolist() == before


def test_a_payload_says_which_static_inputs_it_saw(device: EdgeDevice) -> None:
    first = device.set_static(STATIC)
    assert device.infer(CONTEXT).statics == first
    second = device.set_static(STATIC / 2, wait=False)
    assert device.infer(CONTEXT).statics in (first, second)
    device.exchange([device.message(Kind.FENCE)])
    assert device.infer(CONTEXT).statics == second != first


def test_a_buffer_of_ones_own_is_filled(device: EdgeDevice) -> None:
    out = np.zeros(SMALL.config.payload_bytes + 3, np.uint8)
    payload = device.infer(CONTEXT, out=out)
    assert out[: SMALL.config.payload_bytes].tolist() == payload.values.tolist() == golden(known())


def test_counters_are_those_of_the_last_exchange(device: EdgeDevice) -> None:
    device.infer(CONTEXT)
    counters = device.counters()
    assert counters["messages"] == counters["answers"] == 1
    assert counters["pooled_rows"] == SMALL.config.pooled_elements // SMALL.config.row_elements
    assert counters["scratchpad_writes"] == 0


def counted(device: EdgeDevice, **expected: int) -> None:
    counters = device.counters()
    assert {name: counters[name] for name in expected} == expected


def test_a_click_on_a_full_history_reads_and_writes_its_rows_once(device: EdgeDevice) -> None:
    rows, slots = SMALL.config.rows(HISTORY), SMALL.config.histories[HISTORY].slots
    device.preload(entries(SMALL, 1))
    counted(device, scratchpad_reads=0, sum_reads=0, scratchpad_writes=rows, sum_writes=rows)
    device.preload(entries(SMALL, slots))
    device.click(entries(SMALL, 1)[0])
    counted(device, scratchpad_reads=rows, sum_reads=rows, scratchpad_writes=rows, sum_writes=rows)
    counted(device, sram_reads=2 * rows, sram_writes=2 * rows, macs=0)
    device.check()
    counted(device, scratchpad_reads=rows * slots, sum_reads=rows, sram_writes=0)


def test_a_query_counts_the_steps_of_its_layers(device: EdgeDevice) -> None:
    device.infer(CONTEXT)
    config, counters = SMALL.config, device.counters()
    assert config.dynamic is not None
    wanted = {"top_steps": steps(config.top), "dynamic_steps": steps(config.dynamic), "static_steps": 0}
    counted(device, **wanted, sum_reads=config.pooled_elements // config.row_elements, scratchpad_reads=0)
    assert counters["macs"] == sum(
        wanted[f"{name}_steps"] * stack.multipliers for name, stack in config.stacks.items() if stack is not None
    )
    assert counters["macs"] >= config.top.macs + config.dynamic.macs
    assert counters["sram_reads"] == counters["sum_reads"] + wanted["top_steps"] + wanted["dynamic_steps"]


@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_random_sessions_are_the_golden_models(opened: EdgeDevice, stalls: float) -> None:
    result = random_sessions(opened, sessions=6, actions=60, seed=int(10 * stalls), stalls=stalls)
    assert result.mismatches == ()
    assert result.queries > 50


MISTAKES = {
    "a history longer than its slots": (
        lambda device: device.preload(entries(SMALL, SMALL.config.histories[HISTORY].slots + 1)),
        "keeps .* entries, not",
    ),
    "an entry of another size": (lambda device: device.click(np.zeros(5)), "must have .* elements, not 5"),
    "an entry that is not a number": (
        lambda device: device.click(np.full(SMALL.config.histories[HISTORY].elements, np.nan)),
        "must be finite, but element 0",
    ),
    "one bad entry of a history": (
        lambda device: device.preload([entries(SMALL, 1)[0], np.zeros(5)]),
        "must have .* elements, not 5",
    ),
    "a context of another width": (lambda device: device.infer(CONTEXT[:-1]), "a context must have"),
    "static inputs of another width": (lambda device: device.set_static(STATIC[1:]), "the static inputs must have"),
    "a payload buffer too short": (
        lambda device: device.infer(CONTEXT, out=np.zeros(SMALL.config.payload_bytes - 1, np.uint8)),
        "out must be uint8 of at least",
    ),
    "a payload buffer of another type": (
        lambda device: device.infer(CONTEXT, out=np.zeros(1000, np.int8)),  # type: ignore[arg-type]
        "out must be uint8",
    ),
    "a payload buffer that cannot be written": (
        lambda device: device.infer(CONTEXT, out=np.frombuffer(bytes(1000), np.uint8)),
        "out must be writable",
    ),
    "a version that is the unit's but for bits that a header does not have": (
        lambda device: device.click(entries(SMALL, 1, seed=3)[0], version=SMALL.model.version + (1 << 32)),
        "version must be 0 to",
    ),
    "a negative version": (
        lambda device: device.click(entries(SMALL, 1, seed=3)[0], version=-1),
        "version must be 0 to",
    ),
    "a history that does not exist": (lambda device: device.click(np.zeros(5), group=9), "group must be 0 to"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_wrong_is_said_before_anything_is_sent(device: EdgeDevice, name: str) -> None:
    act, message = MISTAKES[name]
    with pytest.raises(InputError, match=message):
        act(device)
    assert device.infer(CONTEXT).values.tolist() == golden(known())


def test_a_stale_version_is_refused_and_the_history_is_as_it_was(device: EdgeDevice) -> None:
    with pytest.raises(DeviceError, match="click refused: stale version; the unit is as it was"):
        device.click(entries(SMALL, 1, seed=3)[0], version=SMALL.model.version ^ 1)
    assert device.infer(CONTEXT).values.tolist() == golden(known())


def test_a_host_that_stops_in_a_message_ends_its_own(device: EdgeDevice) -> None:
    """What it sends after all is dropped; one that comes back a cycle before is waited for."""
    watchdog, clicks = SMALL.config.watchdog, entries(SMALL, 3, seed=11)
    integers = [SMALL.entry(HISTORY, entry) for entry in clicks]
    late = EdgeStatus.TIMEOUT
    for cycles, status in ((watchdog - 1, EdgeStatus.OK), (watchdog, late), (3 * watchdog, late)):
        device.preload(known()[HISTORY], group=HISTORY)
        messages = [device.message(Kind.CLICK, entry, group=HISTORY) for entry in integers]
        messages.append(device.message(Kind.QUERY, SMALL.context(CONTEXT)))
        device.simulator.set_pause(Pause(packet=1, beat=1, cycles=cycles))
        answers = device.exchange(messages).answers
        device.simulator.set_pause(NO_PAUSE)
        assert [answer.status for answer in answers] == [EdgeStatus.OK, status, EdgeStatus.OK, EdgeStatus.OK]
        histories, acted = known(), [clicks[0], *(clicks[1:2] if not status else []), clicks[2]]
        histories[HISTORY] = (histories[HISTORY] + acted)[-SMALL.config.histories[HISTORY].slots :]
        assert answers[3].payload.tolist() == golden(histories)


def test_a_click_that_did_not_end_is_refused_by_name() -> None:
    with md.open(SMALL) as device:
        device.simulator.set_pause(Pause(packet=0, beat=1, cycles=2 * SMALL.config.watchdog))
        with pytest.raises(DeviceError, match="click refused: timeout; the unit is as it was"):
            device.click(entries(SMALL, 1, seed=3)[0])


def test_no_messages_have_no_answers(device: EdgeDevice) -> None:
    assert device.exchange([]).answers == ()
    assert device.infer(CONTEXT).values.tolist() == golden(known())


def test_a_query_before_static_inputs_is_refused() -> None:
    with md.open(SMALL) as device, pytest.raises(DeviceError, match="query refused: memo invalid"):
        device.infer(CONTEXT)


DAMAGES = {
    "a bit of a beat in the middle": lambda beats: beats ^ bit_of(beats, beat=len(beats) // 3, bit=169),
    "the last bit of the last beat": lambda beats: beats ^ bit_of(beats, beat=len(beats) - 1, bit=511),
    "a beat is lost": lambda beats: np.delete(beats, len(beats) // 2, axis=0),
    "a beat comes twice": lambda beats: np.insert(beats, 1, beats[0], axis=0),
    "two beats are exchanged": lambda beats: beats[[1, 0, *range(2, len(beats))]],
}


def bit_of(beats: np.ndarray, *, beat: int, bit: int) -> np.ndarray:
    ones = np.zeros_like(beats)
    ones[beat, bit // 32] = 1 << bit % 32
    return ones


@pytest.mark.parametrize("name", DAMAGES)
def test_weights_that_changed_on_the_way_are_not_used(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    load = MessageSimulator.load

    def damaged(simulator: MessageSimulator, beats: np.ndarray) -> None:
        load(simulator, np.ascontiguousarray(DAMAGES[name](beats)))

    monkeypatch.setattr(MessageSimulator, "load", damaged)
    said = r"^the edge unit took other weights than were sent: their CRC is [0-9a-f]{8}, not [0-9a-f]{8}$"
    with pytest.raises(DeviceError, match=said):
        md.open(SMALL)


def test_a_closed_unit_says_so() -> None:
    with md.open(SMALL) as device:
        pass
    with pytest.raises(DeviceError, match="closed"):
        device.infer(CONTEXT)


def test_a_model_without_static_inputs_has_none_to_set() -> None:
    with md.open(bundle("rm5")) as device:
        with pytest.raises(InputError, match="has no static inputs"):
            device.set_static([])
        device.preload(entries(bundle("rm5"), 1, group=0), group=0)
        device.preload(entries(bundle("rm5"), 3))
        exchange = device.exchange([device.message(Kind.QUERY)])
        assert len(exchange.answers[0].payload) == 120

"""Finds where a wrong score began: the first operand that is not the golden model's."""

import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from microduet.bundle import Bundle
from microduet.device import Device
from microduet_hw.config import EngineConfig, Precision
from microduet_hw.layout import HOLE, input_order, plan_layer
from microduet_hw.pe import ProcessingElement

if typing.TYPE_CHECKING:
    from microduet.golden import GoldenResult  # imports torch

SPARE_CYCLES = 4096
"""Engine cycles beyond the arithmetic's own that one item may take: its lookups, and stalls."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """The first operand that differs.

    Members
    -------
    layer : whose input it is; the output layer's input is not recorded, so a fault there shows in the logit alone
    element : of that input; word, lane : where it stands in the array
    cycle : engine cycle of the run in which the array was sent it
    """

    layer: int
    element: int
    word: int
    lane: int
    cycle: int
    expected: int
    actual: int

    def __str__(self) -> str:
        bits = 0xFFFFFFFF
        return (
            f"layer {self.layer}, input {self.element} (word {self.word}, lane {self.lane}), cycle {self.cycle}: "
            f"expected {self.expected} ({self.expected & bits:#x}), actual {self.actual} ({self.actual & bits:#x})"
        )


def locate(device: Device, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None) -> Fault | None:
    """Run one item, sparse (1, lookups), and compare every operand of every hidden layer with the golden model's.

    None if they are all right: what is wrong comes after the last hidden layer's inputs.
    """
    bundle = device.bundle
    config = bundle.config
    golden = bundle.golden().run(sparse, dense)
    steps = sum(plan_layer(config, n).rounds * plan_layer(config, n).steps for n in range(len(config.hidden)))
    with device.simulator.recording(steps + SPARE_CYCLES) as record:
        device.run(sparse, dense)
        arrays = record().arrays
    for number, array in enumerate(config.arrays):
        fault = _first_fault(bundle, arrays[number], array.layers, golden)
        if fault is not None:
            return fault
    return None


def _first_fault(
    bundle: Bundle, record: npt.NDArray[np.uint32], layers: tuple[int, ...], golden: "GoldenResult"
) -> Fault | None:
    config = bundle.config
    orders = [input_order(config, number) for number in layers]
    where = [(k, word) for k, number in enumerate(layers) for _ in range(plan_layer(config, number).rounds)
             for word in range(plan_layer(config, number).steps)]  # fmt: skip
    inputs = [_inputs(bundle, golden, number) for number in layers]
    delay = ProcessingElement.SUM_LATENCY - 1
    for cycle in range(1, len(record) - delay):
        if not record[cycle + delay, 0]:
            continue
        k, word = where[int(record[cycle - 1, 1])]
        actual = lane_values(config, record[cycle, 2:], orders[k].shape[1])
        order = orders[k][word]
        used = order != HOLE
        expected = inputs[k][0, order[used]]
        bad = np.flatnonzero(expected != actual[used])
        if len(bad):
            lane = int(np.flatnonzero(used)[bad[0]])
            return Fault(
                layer=layers[k],
                element=_element(bundle, layers[k], int(order[lane])),
                word=word,
                lane=lane,
                cycle=cycle,
                expected=int(expected[bad[0]]),
                actual=int(actual[lane]),
            )
    return None


def _inputs(bundle: Bundle, golden: "GoldenResult", number: int) -> npt.NDArray[np.int64]:
    """Inputs of layer `number` in the engine's order: int64 (1, inputs)."""
    columns, follows = bundle.shape.reads(number)
    own = np.arange(golden.vector.shape[1])[columns]
    if number == bundle.shape.bottom:
        own = bundle.vector_order[: len(own)]
    pieces = [golden.vector[:, own], *([golden.layers[number - 1]] if follows else [])]
    return np.concatenate(pieces, axis=1)


def _element(bundle: Bundle, number: int, place: int) -> int:
    """The model's number of input `place` of layer `number` of the engine: products of tables change the order."""
    columns, _ = bundle.shape.reads(number)
    features = columns.stop - columns.start
    return int(bundle.vector_order[place]) if number == bundle.shape.bottom and place < features else place


def lane_values(config: EngineConfig, words: npt.NDArray[np.uint32], lanes: int) -> npt.NDArray[np.int64]:
    """Activations on an operand bus: int64 (lanes,). fixed32 sends 50 bits per lane, the value in the lower 32."""
    if config.precision is Precision.FIXED32:
        bits = int.from_bytes(np.ascontiguousarray(words).tobytes(), "little")
        values = [(bits >> (50 * lane)) & 0xFFFFFFFF for lane in range(lanes)]
        return np.array(values, np.uint32).view(np.int32).astype(np.int64)
    kind = np.int16 if config.precision is Precision.FIXED16 else np.uint8
    return np.ascontiguousarray(words).view(kind)[:lanes].astype(np.int64)

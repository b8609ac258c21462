"""The compute side of an engine on its own: loader, arrays with their pairs, output layer, result stage."""

import random
from collections import deque
from typing import Any

import cocotb
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import ReadOnly, RisingEdge

from microduet_hw.activation import word_layout
from microduet_hw.array_wiring import connect_loader, connect_pairs
from microduet_hw.config import AXI_BYTES, EngineConfig
from microduet_hw.edge.config import stream_rows
from microduet_hw.edge.weight_stream import WeightStream
from microduet_hw.loader import BEAT as LOAD_BEAT
from microduet_hw.loader import Loader, Target
from microduet_hw.output_layer import OutputLayer, output_layer_shape
from microduet_hw.pe_array import PeArray, pe_array_shape
from microduet_hw.result import BEAT as RESULT_BEAT
from microduet_hw.result import ResultStage
from microduet_hw.stack import Stack
from microduet_hw.status import HEADER
from tests.support.streams import chance

EVENTS = ("busy", "starved", "blocked")


class Compute(wiring.Component):
    """An engine without lookups: words of assembled vectors go straight into the first layer.

    Parameters
    ----------
    config : the engine's configuration

    Members
    -------
    i_load : stream of load beats
    i_words, i_reserve, o_space : as `ActivationBuffer`
    i_headers : stream of {tag, status}
    o_results : stream of result beats
    o_busy, o_starved, o_blocked : of all arrays, one bit each
    """

    i_load: stream.Interface
    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    i_headers: stream.Interface
    o_results: stream.Interface

    def __init__(self, *, config: EngineConfig) -> None:
        self._shapes = [pe_array_shape(config, array) for array in config.arrays]
        self._config, self._output = config, output_layer_shape(config)
        words = word_layout(config.input_lanes * config.precision.width)
        super().__init__(
            {
                "i_load": In(stream.Signature(LOAD_BEAT.size)),
                "i_words": In(stream.Signature(words, always_ready=True)),
                "i_reserve": In(1),
                "o_space": Out(1),
                "i_headers": In(stream.Signature(HEADER)),
                "o_results": Out(stream.Signature(RESULT_BEAT.size)),
                **{f"o_{event}": Out(max(1, len(config.arrays))) for event in EVENTS},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        arrays = [PeArray(shape=shape) for shape in self._shapes]
        m.submodules.output = output = OutputLayer(shape=self._output)
        m.submodules.result = result = ResultStage(
            logit_bits=self._config.precision.logit_width, places=self._output.places
        )
        for number, array in enumerate(arrays):
            m.submodules[f"array_{number}"] = array
            pes = self._config.arrays[number].pes
            connect_pairs(m, array.pairs, shape=self._shapes[number], pes=pes, prefix=f"pair_{number}")
        self._loads(m, arrays, output)
        consumers = [*arrays, output]
        for producer, consumer in zip(arrays, consumers[1:], strict=True):
            connect(m, producer.o_words, consumer.i_words)
            m.d.comb += [consumer.i_reserve.eq(producer.o_reserve), producer.i_space.eq(consumer.o_space)]
        connect(m, output.o_results, result.i_results)
        connect(m, flipped(self.i_headers), result.i_headers)
        connect(m, flipped(self.i_words), consumers[0].i_words)
        beats = result.m_axis_results
        m.d.comb += [
            consumers[0].i_reserve.eq(self.i_reserve),
            self.o_space.eq(consumers[0].o_space),
            output.i_return.eq(result.o_return),
            self.o_results.valid.eq(beats.tvalid),
            self.o_results.payload.eq(beats.tdata),
            beats.tready.eq(self.o_results.ready),
            *[
                getattr(self, f"o_{event}").eq(Cat(getattr(array, f"o_{event}") for array in arrays))
                for event in EVENTS
            ],
        ]
        return m

    def _loads(self, m: Module, arrays: list[PeArray], output: OutputLayer) -> None:
        widths = [self._output.pe.weight_bits, self._output.requantiser.parameters.size]
        widths += [width for s in self._shapes for width in (s.pe.weight_bits, s.drain.requantiser.parameters.size)]
        m.submodules.loader = loader = Loader(word_bits=max(widths))
        valid, row, data = loader.o_valid, loader.o_row, loader.o_data
        connect_load(m, self.i_load, loader)
        m.d.comb += [
            output.load_weights.eq(valid[Target.OUTPUT_WEIGHTS]),
            output.load_parameters.eq(valid[Target.OUTPUT_PARAMETERS]),
            output.load_sigmoid.eq(valid[Target.SIGMOID]),
            output.load_row.eq(row),
            output.load_data.eq(data),
        ]
        for number, array in enumerate(arrays):
            connect_loader(m, loader, array, unit=number)


class StackCompute(wiring.Component):
    """The array of a stack with its pairs, a loader and, if they are not loaded, a stream of its weights.

    Parameters
    ----------
    stack : the layers
    unit : number of the array in load beats

    Members
    -------
    i_load : stream of load beats
    i_words, i_reserve, o_space, o_words, o_reserve, i_space, o_busy : as `PeArray`
    i_run, o_status, m_axi_K : as `WeightStream`, with streamed weights
    """

    WATCHDOG = 2000

    i_load: stream.Interface
    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    o_words: stream.Interface
    o_reserve: Signal
    i_space: Signal
    o_busy: Signal
    i_run: Signal
    o_status: Signal

    def __init__(self, *, stack: Stack, unit: int = 0) -> None:
        (array,) = stack.arrays
        self._pes, self._unit = array.pes, unit
        self._shape = pe_array_shape(stack, array)
        self._array = PeArray(shape=self._shape)
        members = self._array.signature.members
        names = ("i_words", "i_reserve", "o_space", "o_words", "o_reserve", "i_space", "o_busy")
        self._weights = self._weight_stream(stack) if stack.streamed else None
        ports = dict(self._weights.signature.members) if self._weights else {}
        ports.pop("o_rows", None)
        load = {"i_load": In(stream.Signature(LOAD_BEAT.size))}
        super().__init__(load | {name: members[name] for name in names} | ports)

    def _weight_stream(self, stack: Stack) -> WeightStream:
        channels = self._shape.row_bits // (8 * AXI_BYTES)
        return WeightStream(beats=stream_rows(stack), channels=channels, watchdog=self.WATCHDOG)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        array, shape = self._array, self._shape
        m.submodules.array = array
        connect_pairs(m, array.pairs, shape=shape, pes=self._pes, prefix="pair")
        words = max(shape.pe.weight_bits, shape.drain.requantiser.parameters.size)
        m.submodules.loader = loader = Loader(word_bits=words)
        connect_loader(m, loader, array, unit=self._unit)
        connect_load(m, self.i_load, loader)
        connect(m, flipped(self.i_words), array.i_words)
        connect(m, array.o_words, flipped(self.o_words))
        if self._weights:
            self._stream(m, self._weights)
        m.d.comb += [
            array.i_reserve.eq(self.i_reserve),
            array.i_space.eq(self.i_space),
            self.o_space.eq(array.o_space),
            self.o_reserve.eq(array.o_reserve),
            self.o_busy.eq(array.o_busy),
        ]
        return m

    def _stream(self, m: Module, weights: WeightStream) -> None:
        m.submodules.weights = weights
        connect(m, weights.o_rows, self._array.weights)
        for name in weights.signature.members:
            if name.startswith("m_axi"):
                connect(m, getattr(weights, name), flipped(getattr(self, name)))
        m.d.comb += [weights.i_run.eq(self.i_run), self.o_status.eq(weights.o_status)]


def connect_load(m: Module, beats: stream.Interface, loader: Loader) -> None:
    """A stream of load beats into a loader that takes them at any time."""
    port = loader.s_axis_load
    m.d.comb += [
        port.tvalid.eq(beats.valid),
        port.tdata.eq(beats.payload),
        beats.ready.eq(port.tready),
        loader.i_idle.eq(1),
    ]


class VectorSource:
    """Reserves a place for each vector, then sends its words with random gaps.

    Parameters
    ----------
    dut : a `Compute` or a `StackCompute`
    word_bits : bits of a word
    wait : probability that a cycle passes without a word, or without a place being reserved
    """

    def __init__(self, dut: Any, *, word_bits: int, wait: float = 0.0) -> None:
        self._dut, self._word_bits, self.wait = dut, word_bits, chance(wait, name="wait")
        self._random = random.Random(random.getrandbits(64))
        self._vectors: deque[list[int]] = deque()
        self._words: deque[int] = deque()
        dut.i_reserve.value = dut.i_words__valid.value = 0
        self._task = cocotb.start_soon(self._run())

    def send(self, vectors: list[list[int]]) -> None:
        """Queue vectors, each as its words."""
        self._vectors.extend(vectors)

    async def _run(self) -> None:
        dut, space = self._dut, False
        while True:
            await RisingEdge(dut.clk)
            # The place seen in the cycle before is still there: nobody else reserves one.
            reserve = space and bool(self._vectors) and self._random.random() >= self.wait
            send = bool(self._words) and self._random.random() >= self.wait
            dut.i_reserve.value = int(reserve)
            dut.i_words__valid.value = int(send)
            if send:
                dut.i_words__payload.value = self._words.popleft()
            if reserve:
                words = self._vectors.popleft()
                self._words.extend(word | (k == len(words) - 1) << self._word_bits for k, word in enumerate(words))
            await ReadOnly()
            space = bool(dut.o_space.value) and not reserve

"""The compute side of an engine on its own: loader, arrays with their pairs, output layer, result stage."""

import random
from collections import deque
from typing import Any

import cocotb
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import ReadOnly, RisingEdge

from microduet_hw.activation import word_layout
from microduet_hw.config import EngineConfig
from microduet_hw.loader import BEAT as LOAD_BEAT
from microduet_hw.loader import Loader, Target
from microduet_hw.output_layer import OutputLayer, output_layer_shape
from microduet_hw.pe import PAIR_BITS, PePair
from microduet_hw.pe_array import PeArray, pe_array_shape
from microduet_hw.result import BEAT as RESULT_BEAT
from microduet_hw.result import ResultStage
from microduet_hw.status import HEADER
from tests.support.streams import chance

EVENTS = ("busy", "starved", "blocked")
TOLD = ("x", "address", "first", "accumulate", "capture", "shift", "load", "load_pair", "load_half")
"""What an array tells its pairs."""


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
        m.submodules.result = result = ResultStage(logit_bits=self._config.precision.logit_width)
        for number, array in enumerate(arrays):
            m.submodules[f"array_{number}"] = array
            self._pairs(m, number, array)
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

    def _pairs(self, m: Module, number: int, array: PeArray) -> None:
        """The array's pairs, chained as docs/architecture.md says."""
        shape, pes = self._shapes[number], self._config.arrays[number].pes
        drain = shape.drain.requantiser.lanes
        pairs = [PePair(shape=shape.pe) for _ in range(pes // 2)]
        chains = [pair.o_chain_0 for pair in pairs] + [pair.o_chain_1 for pair in pairs]
        chains += [Const(0, shape.pe.chain_bits)] * drain
        for k, pair in enumerate(pairs):
            m.submodules[f"pair_{number}_{k}"] = pair
            m.d.comb += [getattr(pair, f"i_{name}").eq(getattr(array.pairs, name)) for name in TOLD]
            m.d.comb += [
                pair.i_index.eq(k),
                pair.i_chain_0.eq(chains[k + drain]),
                pair.i_chain_1.eq(chains[k + pes // 2 + drain]),
            ]
        m.d.comb += array.pairs.tail.eq(Cat(*chains[:drain]))

    def _loads(self, m: Module, arrays: list[PeArray], output: OutputLayer) -> None:
        widths = [self._output.pe.weight_bits, self._output.requantiser.parameters.size]
        widths += [width for s in self._shapes for width in (s.pe.weight_bits, s.drain.requantiser.parameters.size)]
        m.submodules.loader = loader = Loader(word_bits=max(widths))
        valid, unit, row, data = loader.o_valid, loader.o_unit, loader.o_row, loader.o_data
        beats = loader.s_axis_load
        m.d.comb += [
            beats.tvalid.eq(self.i_load.valid),
            beats.tdata.eq(self.i_load.payload),
            self.i_load.ready.eq(beats.tready),
            loader.i_idle.eq(1),
            output.load_weights.eq(valid[Target.OUTPUT_WEIGHTS]),
            output.load_parameters.eq(valid[Target.OUTPUT_PARAMETERS]),
            output.load_sigmoid.eq(valid[Target.SIGMOID]),
            output.load_row.eq(row),
            output.load_data.eq(data),
        ]
        for number, array in enumerate(arrays):
            m.d.comb += [
                array.load.valid.eq(valid[Target.WEIGHTS] & (unit[PAIR_BITS + 1 :] == number)),
                array.load.pair.eq(unit[:PAIR_BITS]),
                array.load.half.eq(unit[PAIR_BITS]),
                array.load.row.eq(row),
                array.load.data.eq(data),
                array.load_parameters.eq(valid[Target.PARAMETERS] & (unit == number)),
                array.load_parameters_row.eq(row),
                array.load_parameters_data.eq(data),
            ]


class VectorSource:
    """Reserves a place for each vector, then sends its words with random gaps.

    Parameters
    ----------
    dut : a `Compute`
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

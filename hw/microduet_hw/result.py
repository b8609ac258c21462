"""What leaves the engine: results joined with their items' headers, as beats."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import StreamMaster
from microduet_hw.output_layer import result_layout
from microduet_hw.places import RESULTS
from microduet_hw.status import HEADER

HEADERS = 32
"""Items whose headers wait for their result; no more fit between the first buffer and the last."""

BEAT = data.StructLayout(
    {
        "tag": unsigned(32),
        "logit": signed(32),
        "score": unsigned(16),
        "slot": unsigned(8),
        "rank": unsigned(8),
        "status": unsigned(8),
        "user_status": unsigned(8),
        "count": unsigned(8),
        "reserved": unsigned(8),
    }
)
"""One beat of `m_axis_results`, lowest field first.

Without users `slot`, `rank`, `user_status` and `count` are 0. With them a beat is of the answer to the query in `slot`:
its item in place `rank` of `count`; `status` are the flags of all of the query's items. If `count` is 0, the answer is
one beat without an item. `rank` `OWN_RESULT` is an item's own result, with its own flags.
"""

OWN_RESULT = 255
"""`rank` of a beat that is an item's own result; its `count` is 0."""


class ResultStage(wiring.Component):
    """Joins each result with the header of its item.

    Latency: one cycle.
    Throughput: a result per cycle.
    Back-pressure: results wait in a queue whose places the output layer counts; headers are held up when too many wait.
    Reset: empty.

    Parameters
    ----------
    logit_bits : bits of a logit
    places : results that wait

    Members
    -------
    i_headers : stream of {tag, status}, in the order of the items
    i_results : stream of {logit, score}, in the same order, always taken
    o_return : pulses for each result that leaves
    m_axis_results : AXI4-Stream of `BEAT`s
    """

    i_headers: stream.Interface
    i_results: stream.Interface
    o_return: Signal
    m_axis_results: Any

    def __init__(self, *, logit_bits: int, places: int = RESULTS) -> None:
        self._places = places
        self._result = result_layout(logit_bits)
        super().__init__(
            {
                "i_headers": In(stream.Signature(HEADER)),
                "i_results": In(stream.Signature(self._result, always_ready=True)),
                "o_return": Out(1),
                "m_axis_results": Out(StreamMaster(bits=BEAT.size)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What an item is of its query does not leave here.
        kept = data.StructLayout({"tag": HEADER["tag"].shape, "status": HEADER["status"].shape})
        m.submodules.headers = headers = SyncFIFO(width=kept.size, depth=HEADERS)
        m.submodules.results = results = SyncFIFO(width=self._result.size, depth=self._places)
        header, result = data.View(kept, headers.r_data), data.View(self._result, results.r_data)
        beat = Signal(BEAT)
        taken = self.m_axis_results.tvalid & self.m_axis_results.tready
        m.d.comb += [
            headers.w_data.eq(Cat(self.i_headers.p.tag, self.i_headers.p.status)),
            headers.w_en.eq(self.i_headers.valid),
            self.i_headers.ready.eq(headers.w_rdy),
            results.w_data.eq(self.i_results.payload),
            results.w_en.eq(self.i_results.valid),
            beat.tag.eq(header.tag),
            beat.logit.eq(result.logit),
            beat.score.eq(result.score),
            beat.status.eq(header.status),
            self.m_axis_results.tdata.eq(beat),
            self.m_axis_results.tlast.eq(1),
            self.m_axis_results.tvalid.eq(results.r_rdy & headers.r_rdy),
            headers.r_en.eq(taken),
            results.r_en.eq(taken),
            self.o_return.eq(taken),
        ]
        return m

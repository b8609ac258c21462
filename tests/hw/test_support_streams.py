"""Finding streams by their names, and who makes those that leave a component."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from tests.support.channels import Channel, channels
from tests.support.demo import Queue
from tests.support.stream_paths import Leaving, leaving


class Round(wiring.Component):
    """A queue, and something round it: its output is the queue's, or a bit of it is another."""

    def __init__(self, *, change=None):
        self._queue, self._change = Queue(width=2), change
        super().__init__(dict(self._queue.signature.members))

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self._queue
        outer, inner = self.o, queue.o
        wiring.connect(m, wiring.flipped(self.i), queue.i)
        m.d.comb += [
            outer.valid.eq(inner.valid & 1 if self._change == "valid" else inner.valid),
            outer.payload.eq(inner.payload ^ 1 if self._change == "payload" else inner.payload),
            inner.ready.eq(1 if self._change == "ready" else outer.ready),
        ]
        return m


@pytest.mark.parametrize(
    ("ports", "found"),
    [
        (["o__payload", "o__valid", "o__ready", "o_more"], {"o__valid": ("o__ready", ["o__payload"])}),
        (["o__1__valid", "o__1__payload", "o__0__payload"], {"o__1__valid": ("o__1__ready", ["o__1__payload"])}),
        (
            ["m__tvalid", "m__tready", "m__tdata", "m__tlast"],
            {"m__tvalid": ("m__tready", ["m__tdata", "m__tlast"])},
        ),
        (
            ["m__arvalid", "m__araddr", "m__rvalid", "m__rready", "m__rdata", "m__rresp"],
            {"m__arvalid": ("m__arready", ["m__araddr"]), "m__rvalid": ("m__rready", ["m__rdata", "m__rresp"])},
        ),
        (["o_valid", "o_ready", "valid", "o__invalid", "o__payload"], {}),
    ],
    ids=["a stream", "of an array", "AXI4-Stream", "channels of AXI4", "no stream"],
)
def test_finds_streams_by_name(ports, found):
    expected = [Channel(valid=v, ready=ready, payloads=tuple(names)) for v, (ready, names) in found.items()]
    assert list(channels(ports)) == expected


@pytest.mark.parametrize(
    ("change", "maker"), [(None, "Queue"), ("valid", "Round"), ("payload", "Round"), ("ready", "Round")]
)
def test_what_is_passed_on_as_it_is_was_made_inside(change, maker):
    streams, seen = leaving(Round(change=change))
    names = {"Queue": "tests.support.demo.Queue", "Round": f"{__name__}.Round"}
    assert seen >= set(names.values())
    assert Leaving(owner=names["Round"], valid="o__valid", maker=names[maker]) in streams

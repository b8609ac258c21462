"""What sends a card's shares of vectors to the card that computes, with its rules, for proofs."""

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal

from microduet_hw.shard import VECTORS, ShareStage
from tests.support.contracts import Contract


class ShareContract(Contract):
    """`ShareStage`: packets leave whole and in order, each header and each word once.

    Headers and words are numbered as they come. A vector has a place before its header and its first word.
    """

    def __init__(self, *, words: int, fault: bool = False) -> None:
        self._words = words
        super().__init__(ShareStage(words=words), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        self._come(m, ports)
        bus = {name.removeprefix("m_axis_results__"): value for name, value in ports.items()}
        valid, ready, beat, last = (bus[name] for name in ("tvalid", "tready", "tdata", "tlast"))
        body, place, packets, words = Signal(), Signal(range(self._words + 1)), Signal(8), Signal(8)
        with m.If(valid & ready):
            m.d.sync += [body.eq(~last), place.eq(Mux(body & ~last, place + 1, 0))]
            m.d.sync += [packets.eq(packets + last), words.eq(words + body)]
        stalled = Signal()
        m.d.sync += stalled.eq(valid & ~ready)
        m.d.comb += [
            Assert(self.holds(m, valid=valid, ready=ready, payload=Cat(beat, last))),
            Assert(~valid | (beat == Mux(body, words, packets))),
            Assert(~valid | (last == (body & (place == self._words - 1)))),
            Assert(ports["o_return"] == (valid & ready & last)),
            Cover(ports["o_return"] & (packets == 1)),
            Cover(stalled & valid & ready & ~ports["o_space"]),
        ]

    def _come(self, m: Module, ports: dict[str, Any]) -> None:
        """Vectors as they are announced: their headers, and their words."""
        reserve, header, word = ports["i_reserve"], ports["i_header__valid"], ports["i_words__valid"]
        headers, words, place = Signal(8), Signal(8), Signal(range(self._words + 1))
        headers_due, words_due = Signal(range(VECTORS + 1)), Signal(range(VECTORS * self._words + 1))
        last, data, ends = place == self._words - 1, ports["i_words__payload"][:-1], ports["i_words__payload"][-1]
        m.d.sync += [
            headers.eq(headers + header),
            words.eq(words + word),
            headers_due.eq(headers_due + reserve - header),
            words_due.eq(words_due + Mux(reserve, self._words, 0) - word),
        ]
        with m.If(word):
            m.d.sync += place.eq(Mux(last, 0, place + 1))
        m.d.comb += [
            Assume(~reserve | ports["o_space"] | self.fault),
            Assume(~header | ((headers_due != 0) & (ports["i_header__payload"] == headers))),
            Assume(~word | ((words_due != 0) & (data == words) & (ends == last))),
            # There is room for what was announced.
            Assert(~header | ports["i_header__ready"]),
        ]

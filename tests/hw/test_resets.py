"""A reset at a random cycle, in the middle of bursts and packets: what follows is what follows a fresh start."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import CHECKSUM_BITS
from microduet_hw.edge.check import EdgeCheck
from microduet_hw.edge.message_buffer import MessageBuffer
from microduet_hw.edge.unit import EdgeUnit
from microduet_hw.edge.weight_stream import WeightStream
from microduet_hw.loader import Loader, Target
from microduet_hw.lookup.intake import PacketIntake
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.reader import ChannelReader
from microduet_hw.lookup.unit import LookupUnit
from microduet_hw.registers import ControlRegisters
from microduet_hw.result import ResultStage
from microduet_hw.user_expander import UserExpander
from microduet_hw.weight_check import CheckedMemory, WeightCheck
from tests.support.edge import UNITS
from tests.support.lookups import HBM, ONCHIP, Table, lookup_config
from tests.support.models import small_config
from tests.support.twins import NEVER, Case, check_reset


class Forgetful(wiring.Component):
    """Counts for ever."""

    i_step: Signal
    o_count: Signal

    def __init__(self):
        super().__init__({"i_step": In(1), "o_count": Out(8)})

    def elaborate(self, platform):
        m = Module()
        count = Signal(8, reset_less=True)
        m.d.sync += count.eq(count + self.i_step)
        m.d.comb += self.o_count.eq(count)
        return m


LOOKUPS = lookup_config(
    [Table(dim=4), Table(rows=9, dim=40, lookups=2, places=((0, 0, 9, 0, 40),)), Table(places=((1, 0, 20, 0, 4),))],
    [HBM, ONCHIP],
    dense=3,
    watchdog=60,
)
CHECKED = lookup_config([Table(dim=4), Table(rows=9, dim=16)], [HBM], watchdog=60, row_check=True)
CHECKED_MEMORIES = (
    CheckedMemory(target=Target.WEIGHTS, bits=40, steps=5),
    CheckedMemory(target=Target.SIGMOID, bits=32),
)


def often(probability):
    return lambda rng: int(rng.random() < probability)


def index(rng):
    """Mostly a row that there is."""
    return rng.choice([rng.randrange(9), rng.randrange(9), rng.getrandbits(32)])


def items(rng):
    return sum(index(rng) << 32 * word for word in range(16))


RESPONSES = {f"m_axi{channel}__{name}": draw for channel in ("", "_00", "_0", "_1") for name, draw in {
    "rid": lambda rng: rng.randrange(6),
    "rlast": often(0.6),
    "rresp": lambda rng: rng.choice([0, 0, 0, 2, 3]),
}.items()}  # fmt: skip

CASES = {
    "queue": Case(make=lambda: Queue(shape=9, depth=4)),
    "intake": Case(
        make=lambda: PacketIntake(beats=3, watchdog=4),
        draws={"i_run": often(0.95), "i_limit": lambda _: 0, "s_axis_items__tlast": often(0.3)},
    ),
    "reader": Case(make=lambda: ChannelReader(config=LOOKUPS, source=0), draws=RESPONSES | {"lookups__payload": index}),
    "reader of checked rows": Case(
        make=lambda: ChannelReader(config=CHECKED, source=0), draws=RESPONSES | {"lookups__payload": index}
    ),
    "lookup unit": Case(
        make=lambda: LookupUnit(config=LOOKUPS),
        draws=RESPONSES
        | {
            "i_run": lambda _: 1,
            "i_limit": lambda _: 0,
            "i_space": often(0.8),
            "s_axis_items__tdata": items,
            "s_axis_items__tlast": often(0.4),
        },
    ),
    "weights": Case(
        make=lambda: WeightStream(beats=37, channels=2, watchdog=90, burst=8, depth=32),
        draws=RESPONSES | {"i_run": lambda _: 1, "m_axi_0__rid": lambda _: 0, "m_axi_1__rid": lambda _: 0},
    ),
    "checked weights": Case(
        make=lambda: WeightStream(beats=37, channels=2, watchdog=90, burst=8, depth=32, checked=True),
        draws=RESPONSES | {"i_run": lambda _: 1, "m_axi_0__rid": lambda _: 0, "m_axi_1__rid": lambda _: 0},
    ),
    "edge check": Case(make=lambda: EdgeCheck(config=UNITS["streamed"].replace(checksum_bits=CHECKSUM_BITS))),
    "loader": Case(make=lambda: Loader(word_bits=1000), counts=dict.fromkeys(("o_unit", "o_row", "o_data"), "o_valid")),
    "loader that reads": Case(
        make=lambda: Loader(word_bits=1000, reads=True), counts=dict.fromkeys(("o_unit", "o_row", "o_data"), "o_valid")
    ),
    "weight check": Case(make=lambda: WeightCheck(memories=CHECKED_MEMORIES)),
    "registers": Case(make=lambda: ControlRegisters(config=small_config())),
    "messages": Case(
        make=lambda: MessageBuffer(config=UNITS["sram"]),
        counts={"o_row": NEVER, "o_header": "o_valid", "o_status": "o_valid"},
    ),
    "expander": Case(make=lambda: UserExpander(length=96)),
    "results": Case(make=lambda: ResultStage(logit_bits=16)),
}
LARGE = {"edge unit": Case(make=lambda: EdgeUnit(config=UNITS["sram"]))}


@pytest.mark.parametrize("name", CASES)
def test_a_reset_is_a_fresh_start(name):
    rng = random.Random(name)
    assert check_reset(CASES[name], seed=rng.getrandbits(32), before=rng.randrange(1, 400)), "nothing ever came out"


@pytest.mark.nightly
@pytest.mark.parametrize("name", CASES | LARGE)
def test_resets_at_many_moments(name):
    rng = random.Random()
    for _ in range(60 if name in CASES else 10):
        check_reset((CASES | LARGE)[name], seed=rng.getrandbits(32), before=rng.randrange(1, 600))


def test_what_a_reset_does_not_reach_is_found():
    """A twin whose counter has no reset."""
    with pytest.raises(AssertionError, match="after the reset: o_count differ"):
        check_reset(Case(make=Forgetful), seed=1, before=20)

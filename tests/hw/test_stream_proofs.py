"""Every stream that leaves a component keeps the stream rules: what is offered stands until it is taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest
from amaranth.hdl import Cat, Signal
from amaranth.lib import data, wiring

from microduet_hw.code_reader import GROUP_LAYOUT, CodeReader
from microduet_hw.config import CHECKSUM_BITS, Array, Precision
from microduet_hw.edge.answers import AnswerSender
from microduet_hw.edge.unit import EdgeUnit
from microduet_hw.edge.weight_stream import WeightChannel
from microduet_hw.engine import Engine, EngineCore
from microduet_hw.kernel import Kernel
from microduet_hw.lookup.assembler import Assembler
from microduet_hw.lookup.bits import mask
from microduet_hw.lookup.butterfly import Butterfly
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.issuer import ReadIssuer
from microduet_hw.lookup.spread_router import SpreadRouter
from microduet_hw.lookup.unit import LookupUnit
from microduet_hw.shard import ShardConfig, ShardUnit
from microduet_hw.user_expander import UserExpander
from tests.hw.lookup.test_spread import spread
from tests.hw.test_shard import share_config
from tests.support.edge import UNITS, small_edge
from tests.support.formal import Mode, prove
from tests.support.ledger_sources import components
from tests.support.lookups import HBM, ONCHIP, Table, lookup_config, replicas
from tests.support.models import small_config
from tests.support.proof_record import read_kept
from tests.support.stream_contracts import Counts, Fault, Needs, StreamContract
from tests.support.stream_paths import leaving
from tests.support.users import with_users

LOOKUPS = lookup_config([Table(rows=4, dim=1)], [HBM], outstanding=2, watchdog=3, slots=2, lanes=1)
PLANS = (source_plan(LOOKUPS, 0),)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A small component, and how the rule is proven of it.

    make, needs, counts : as `StreamContract`
    mode, depth : "prove" is for all time, by induction over `depth` cycles, "bmc" for so many cycles after reset
    faults : what a proof must not survive
    reached : cycles in which every cover point is reached, and every fault seen
    """

    make: Callable[[], wiring.Component]
    mode: Mode = "prove"
    depth: int = 1
    needs: Needs | None = None
    counts: Mapping[str, Counts] = field(default_factory=dict)
    faults: tuple[Fault, ...] = (Fault.WITHDRAWN,)
    reached: int = 12

    def contract(self, fault=None):
        return StreamContract(self.make(), needs=self.needs, counts=self.counts, fault=fault)


def reads_in_flight(m, ports):
    """Only a read that was asked for is answered or lost, and comes back only if it was lost."""
    order = ports["o_order__payload"]
    taken = ports["o_order__valid"] & ports["o_order__ready"] & order[0]
    flying, lost = Signal(LOOKUPS.outstanding), Signal(LOOKUPS.outstanding)
    asked = mask(len(flying), order[1], enable=taken)
    released, loses, returned = (
        mask(len(flying), ports[f"i_{name}__payload"], enable=ports[f"i_{name}__valid"])
        for name in ("released", "lost", "returned")
    )
    m.d.sync += [flying.eq((flying | asked) & ~released & ~returned), lost.eq((lost | loses) & ~returned)]
    waited = flying & ~lost
    return [((released | loses) & ~waited) == 0, (released & loses) == 0, (returned & ~lost) == 0]


def model_stays(m, ports):
    """The model does not change, and a payload, of one word, has a place before it comes."""
    now, before, began = ports["i_constants"], Signal(len(ports["i_constants"])), Signal()
    reserve, comes, places = ports["i_reserve"], ports["i_words__valid"], Signal(4)
    m.d.sync += [before.eq(now), began.eq(1), places.eq(places + reserve - comes)]
    word = (places != 0) & ports["i_words__payload"][-1]
    return [~began | (now == before), ~reserve | ports["o_space"], ~comes | word]


def id_of_a_read(order):
    """An order that is no read has no ID."""
    return Cat(order[0], order[1] & order[0], order[2:])


def first_element(group):
    """Where the others lie among the bytes is beyond a solver, and the benches know."""
    view = data.View(GROUP_LAYOUT, group)
    return Cat(view.elements[:8], view.final, view.wrong)


CASES = {
    "code_reader.CodeReader": Case(make=lambda: CodeReader(length=20, size=64), counts={"o": first_element}),
    "edge.answers.AnswerSender": Case(
        make=lambda: AnswerSender(config=small_edge(((4,), 2))),
        mode="bmc",
        depth=10,
        needs=model_stays,
        faults=(Fault.NEEDS,),
    ),
    "edge.weight_stream.WeightChannel": Case(make=lambda: WeightChannel(beats=3, burst=2, depth=4)),
    "lookup.assembler.Assembler": Case(make=lambda: Assembler(config=LOOKUPS, plans=PLANS), faults=(Fault.CHANGED,)),
    "lookup.butterfly.Butterfly": Case(make=lambda: Butterfly(lanes=2, channels=2, depth=4)),
    "lookup.issuer.ReadIssuer": Case(
        make=lambda: ReadIssuer(config=LOOKUPS, plan=PLANS[0]),
        mode="bmc",
        depth=12,
        needs=reads_in_flight,
        counts={"o_order": id_of_a_read},
        faults=(Fault.NEEDS,),
    ),
    "lookup.spread_router.SpreadRouter": Case(make=lambda: SpreadRouter(config=spread([(8, 1, 2)], 1, lanes=1))),
    "user_expander.UserExpander": Case(make=lambda: UserExpander(length=20), faults=(Fault.WITHDRAWN, Fault.INPUTS)),
}
"""By the component's name in the ledger."""

FAULTS = [(name, fault) for name, case in CASES.items() for fault in case.faults]


@pytest.mark.parametrize("name", list(CASES))
def test_an_offer_stands_until_it_is_taken(name):
    case = CASES[name]
    proof = prove(case.contract(), mode=case.mode, depth=case.depth)
    assert proof, proof


@pytest.mark.parametrize("name", list(CASES))
def test_every_stream_stalls_and_goes_on(name):
    proof = prove(CASES[name].contract(), mode="cover", depth=CASES[name].reached)
    assert proof, proof


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_fails_without_the_rule(name, fault):
    proof = prove(CASES[name].contract(fault), mode="bmc", depth=CASES[name].reached)
    assert proof.status == "FAIL", proof


ELSEWHERE = {
    "bases.BaseRegisters": "tests/hw/test_proofs.py",
    "edge.dispatcher.Dispatcher": "tests/hw/edge/test_answer_proofs.py",
    "edge.weight_stream.WeightStream": "tests/hw/edge/test_weight_stream_proofs.py",
    "lookup.endings.Endings": "tests/hw/lookup/test_spread_proofs.py",
    "lookup.intake.PacketIntake": "tests/hw/lookup/test_proofs.py",
    "lookup.merger.Merger": "tests/hw/lookup/test_spread_proofs.py",
    "lookup.queue.Queue": "tests/hw/lookup/test_proofs.py",
    "lookup.reader.ChannelReader": "tests/hw/lookup/test_proofs.py",
    "lookup.sender.VectorSender": "tests/hw/lookup/test_proofs.py",
    "lookup.splitter.Splitter": "tests/hw/lookup/test_spread_proofs.py",
    "rank.RankStage": "tests/hw/test_user_proofs.py",
    "registers.ControlRegisters": "tests/hw/test_proofs.py",
    "result.ResultStage": "tests/hw/test_proofs.py",
    "shard.ShareStage": "tests/hw/test_proofs.py",
    "waiting_room.WaitingRoom": "tests/hw/test_user_proofs.py",
}
"""Components whose streams have proofs of more than this rule, and where these are."""

WIRED = {"engine.Engine": "engine.EngineCore"}
"""Components that hold, as a Verilog module of its own, one whose streams are theirs. A kernel is round an engine."""

ONE_ARRAY = (Array(pes=2, lanes=1, drain=1, layers=(0,)),)
ENGINE = small_config(elements=2, hidden=(2,), arrays=ONE_ARRAY)
TWO_LAYERS = (Array(pes=2, lanes=1, drain=1, layers=(0, 1)),)
CHECKED = {"checksum_bits": CHECKSUM_BITS}
DESIGNS = {
    "an engine": lambda: EngineCore(config=ENGINE),
    "users": lambda: EngineCore(config=with_users(ENGINE, layer=0, elements=1, slots=2, waiting=2).replace(**CHECKED)),
    "a bottom MLP": lambda: EngineCore(
        config=small_config(elements=2, dense=2, bottom=1, hidden=(2, 2), arrays=TWO_LAYERS),
    ),
    "pairs of elements": lambda: Engine(config=ENGINE),
    "names and resets": lambda: Kernel(config=ENGINE),
    "an edge unit": lambda: EdgeUnit(config=msgspec.structs.replace(UNITS["sram"], **CHECKED)),
    "streamed weights": lambda: EdgeUnit(config=UNITS["streamed"]),
    "a card's share": lambda: ShardUnit(config=ShardConfig.of(share_config(precision=Precision.INT8))),
    "banks and checks": lambda: LookupUnit(
        config=lookup_config([Table(), Table(places=((1, 0, 20, 0, 4),))], [HBM, ONCHIP], row_check=True)
    ),
    "partners": lambda: LookupUnit(
        config=lookup_config([Table(lookups=2, places=replicas(20, 4, {0: 1, 1: 1}))], [HBM, HBM])
    ),
    "spread tables": lambda: LookupUnit(config=spread([(8, 1, 2)], 1, lanes=1)),
}


@pytest.fixture(scope="module")
def seen():
    """Streams that leave any component of the designs, and these components."""
    found = [leaving(make()) for make in DESIGNS.values()]
    return [one for streams, _ in found for one in streams], {name for _, names in found for name in names}


def test_every_stream_that_leaves_a_component_is_proven(seen):
    proven = set(CASES) | set(ELSEWHERE) | set(WIRED)
    assert {f"{one.maker}: {one.valid}" for one in seen[0] if one.maker not in proven} == set()
    assert proven <= {one.owner for one in seen[0]}


def test_every_component_is_looked_at(seen):
    assert {one.name for one in components()} - seen[1] == set()


@pytest.mark.parametrize("name", list(ELSEWHERE))
def test_is_proven_elsewhere(name):
    proofs = read_kept()[name]["proofs"]
    assert any(test.startswith(ELSEWHERE[name]) for test in proofs)

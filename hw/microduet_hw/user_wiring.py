"""What joins a `UserStage` to an engine: the vectors' way through it, its loads, its answers and its events."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import connect

from microduet_hw.config import EngineConfig
from microduet_hw.loader import Loader, Target
from microduet_hw.lookup.unit import LookupUnit
from microduet_hw.output_layer import OutputLayer
from microduet_hw.pe_array import PeArray
from microduet_hw.rank import RankStage
from microduet_hw.user_stage import UserStage

Producer = LookupUnit | PeArray | UserStage
Consumer = PeArray | OutputLayer | UserStage


def connect_chain(
    m: Module, lookup: LookupUnit, arrays: list[PeArray], output: OutputLayer, users: UserStage | None
) -> None:
    """Vectors from the lookup through the arrays, and users where they come in, to the output layer."""
    producer: Producer = lookup
    for array in arrays:
        if users is not None and "biases" in array.signature.members:
            _hand_on(m, producer, users)
            producer = users
            connect(m, array.biases, users.biases)
        _hand_on(m, producer, array)
        producer = array
    if users is not None and "o_sums" in output.signature.members:
        # Words go to the dot product, but what they need room for is their sum, which waits.
        connect(m, producer.o_words, output.i_words)
        _reserve(m, producer, users)
        connect(m, output.o_sums, users.i_words)
        connect(m, users.o_words, output.i_sums)
        _reserve(m, users, output)
        m.d.comb += output.i_bias.eq(users.o_bias)
    else:
        _hand_on(m, producer, output)


def _hand_on(m: Module, producer: Producer, consumer: Consumer) -> None:
    connect(m, producer.o_words, consumer.i_words)
    _reserve(m, producer, consumer)


def _reserve(m: Module, producer: Producer, consumer: Consumer) -> None:
    m.d.comb += [consumer.i_reserve.eq(producer.o_reserve), producer.i_space.eq(consumer.o_space)]


def connect_users(m: Module, users: UserStage, *, lookup: LookupUnit, rank: RankStage, loader: Loader) -> None:
    """Headers into the stage and out of it, loads, and slots that are free again."""
    connect(m, lookup.o_header, users.i_headers)
    connect(m, users.o_header, rank.i_headers)
    connect(m, rank.o_clear, users.i_clear)
    m.d.comb += [
        users.load_model.eq(loader.o_valid[Target.MODEL]),
        users.load_weights.eq(loader.o_valid[Target.USER_WEIGHTS]),
        users.load_bias.eq(loader.o_valid[Target.USER_BIAS]),
        users.load_row.eq(loader.o_row),
        users.load_data.eq(loader.o_data),
    ]


def user_events(config: EngineConfig, users: UserStage | None, rank: RankStage | None) -> list[Value]:
    """Events of the counters that only an engine with users has, in their order."""
    if users is None or rank is None:
        return []
    events = {
        "users": users.o_taken,
        "users_dropped": users.o_dropped,
        "answers": rank.o_clear.valid,
        "waiting": users.o_waits,
        "waiting_full": users.o_full,
    }
    return [events[name] for name in config.counters if name in events]

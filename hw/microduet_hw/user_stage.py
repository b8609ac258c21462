"""Where items meet their user: the waiting room, and what it tells and is told by the bank of users' parts."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from microduet_hw.activation import VECTORS
from microduet_hw.axi import StreamMaster
from microduet_hw.config import EngineConfig
from microduet_hw.drain import BiasPort
from microduet_hw.layout import array_of, input_words
from microduet_hw.output_layer import output_layer_shape
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.places import ISSUE_TO_CAPTURE
from microduet_hw.status import HEADER
from microduet_hw.user_bank import UserBank
from microduet_hw.user_packets import USER_BITS
from microduet_hw.user_shape import user_shape
from microduet_hw.user_slots import PLACE
from microduet_hw.waiting_room import USER_HEADER, WaitingRoom, WaitingRoomShape


def room_shape(config: EngineConfig) -> WaitingRoomShape:
    """Sizes of the waiting room: of words in front of an array, of sums in front of the output's requantiser."""
    user = config.user
    assert user is not None
    words, bits = 1, output_layer_shape(config).pe.chain_bits
    if user.layer < len(config.hidden):
        words = input_words(config, user.layer)
        bits = array_of(config, user.layer).lanes * config.precision.width
    return WaitingRoomShape(slots=user.slots, waiting=user.waiting, words=words, bits=bits)


class UserStage(wiring.Component):
    """Holds items up until their query's user is known, and gives the layer his part of its sums in place of biases.

    Latency, Throughput, Back-pressure: those of `WaitingRoom` for items, of `UserBank` for users.
    Reset: no item, no user, no model.

    Parameters
    ----------
    config : the engine's configuration, with users

    Members
    -------
    s_axis_users, load_model, load_weights, load_bias, load_row, load_data, o_busy, o_taken, o_dropped : as `UserBank`
    check_model, check_weights, check_bias, i_hold : as `UserBank`; only if weights are checked
    i_words, i_reserve, o_space, i_headers, o_words, o_reserve, i_space, o_header : as `WaitingRoom`
    biases : what the drain of the layer's array reads; only if the layer is hidden
    o_bias : of the sum on `o_words`; only if the layer is the output layer
    i_clear : stream of `PLACE`, always ready: a query's answer has left
    o_waits : items wait, and the user of none of them is known
    o_full : no vector may come, for one ring may be full
    """

    s_axis_users: Any
    load_model: Signal
    load_weights: Signal
    load_bias: Signal
    load_row: Signal
    load_data: Signal
    o_busy: Signal
    o_taken: Signal
    o_dropped: Signal
    check_model: Any
    check_weights: Any
    check_bias: Any
    i_hold: Signal
    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    i_headers: stream.Interface
    o_words: stream.Interface
    o_reserve: Signal
    i_space: Signal
    o_header: stream.Interface
    biases: Any
    o_bias: Signal
    i_clear: stream.Interface
    o_waits: Signal
    o_full: Signal

    def __init__(self, *, config: EngineConfig) -> None:
        self._shape = user_shape(config)
        self._room = WaitingRoom(shape=room_shape(config))
        self._bank = UserBank(shape=self._shape)
        user = self._shape.user
        self._hidden = user.layer < len(config.hidden)
        if self._hidden:
            array = pe_array_shape(config, array_of(config, user.layer))
            bias = {"biases": In(BiasPort(array.drain))}
            # Vectors that have left and whose biases were not read: in the buffer, and in the pipeline behind it.
            self._in_array = array.places + ISSUE_TO_CAPTURE + VECTORS
        else:
            bias = {"o_bias": Out(self._shape.bits)}
        words, bank = self._room.signature.members["i_words"], self._bank.signature.members
        super().__init__(
            {
                "s_axis_users": In(StreamMaster(bits=USER_BITS)),
                **{name: bank[name] for name in ("load_model", "load_weights", "load_bias", "load_row", "load_data")},
                **{name: bank[name] for name in ("o_busy", "o_taken", "o_dropped", *self._shape.checks)},
                **({"i_hold": In(1)} if self._shape.checked else {}),
                "i_words": words,
                "i_reserve": In(1),
                "o_space": Out(1),
                "i_headers": In(stream.Signature(HEADER)),
                "o_words": self._room.signature.members["o_words"],
                "o_reserve": Out(1),
                "i_space": In(1),
                "o_header": Out(stream.Signature(USER_HEADER)),
                **bias,
                "i_clear": In(stream.Signature(PLACE, always_ready=True)),
                "o_waits": Out(1),
                "o_full": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.room, m.submodules.bank = room, bank = self._room, self._bank
        connect(m, flipped(self.s_axis_users), bank.s_axis_users)
        connect(m, flipped(self.i_words), room.i_words)
        connect(m, flipped(self.i_headers), room.i_headers)
        connect(m, room.o_words, flipped(self.o_words))
        connect(m, room.o_header, flipped(self.o_header))
        connect(m, room.o_items, bank.i_items)
        connect(m, flipped(self.i_clear), bank.i_clear)
        names = ("load_model", "load_weights", "load_bias", "load_row", "load_data")
        m.d.comb += [getattr(bank, name).eq(getattr(self, name)) for name in names]
        m.d.comb += [getattr(self, name).eq(getattr(bank, name)) for name in ("o_busy", "o_taken", "o_dropped")]
        if self._shape.checked:
            m.d.comb += bank.i_hold.eq(self.i_hold)
            for name in self._shape.checks:
                connect(m, flipped(getattr(self, name)), getattr(bank, name))
        m.d.comb += [
            room.i_reserve.eq(self.i_reserve),
            self.o_space.eq(room.o_space),
            self.o_reserve.eq(room.o_reserve),
            room.i_ready.eq(bank.o_ready),
            room.i_status.eq(bank.o_status),
            bank.i_waiting.eq(room.o_waiting),
            self.o_waits.eq(room.o_waiting.any() & ~(room.o_waiting & bank.o_ready).any()),
            self.o_full.eq(~room.o_space),
        ]
        (self._to_array if self._hidden else self._to_output)(m)
        return m

    def _to_array(self, m: Module) -> None:
        """The drain reads the parts of the slots in the order in which their vectors went."""
        room, bank, port = self._room, self._bank, self.biases
        m.submodules.gone = gone = SyncFIFO(width=len(room.o_slot), depth=self._in_array)
        m.d.comb += [
            room.i_space.eq(self.i_space & gone.w_rdy),
            gone.w_data.eq(room.o_slot),
            gone.w_en.eq(room.o_reserve),
            gone.r_en.eq(port.last),
            bank.i_read.eq(port.read),
            bank.i_read_slot.eq(gone.r_data),
            bank.i_read_row.eq(port.row),
            port.data.eq(bank.o_row),
        ]

    def _to_output(self, m: Module) -> None:
        """The part is read as the sum is."""
        room, bank = self._room, self._bank
        m.d.comb += [
            room.i_space.eq(self.i_space),
            bank.i_read.eq(room.o_reserve),
            bank.i_read_slot.eq(room.o_slot),
            self.o_bias.eq(bank.o_row),
        ]

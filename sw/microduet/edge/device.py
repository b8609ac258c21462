"""The driver of an edge unit: histories, clicks and contexts in, user vectors out."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from microduet.backend import device_errors
from microduet.edge.bundle import EdgeBundle
from microduet.edge.exchange import Exchange, Payload, counters_of, exchange_of, what_is_wrong
from microduet.edge.weights import UNIT, load_unit, read_streams_again, unit_checks, write_streams
from microduet.errors import DeviceError, InputError
from microduet.gateware import verilog
from microduet.loading import expect_unchanged
from microduet.register_access import Registers
from microduet_hw.config import SourceKind
from microduet_hw.edge.image import stream_tables
from microduet_hw.edge.memo import TAG_BITS
from microduet_hw.edge.message import Kind
from microduet_hw.edge.packets import Beats, join_messages, pack_message
from microduet_sim.batch import Fault, Stalls
from microduet_sim.build import build
from microduet_sim.card import PATIENCE, SimulationError
from microduet_sim.closing import Closing
from microduet_sim.compiler import Progress as BuildProgress
from microduet_sim.dram import Memory
from microduet_sim.dram.parameters import DramParameters
from microduet_sim.messages import MessageSimulator
from microduet_sim.tables import StoredTable


class EdgeDevice(Closing):
    """One edge unit, open: loaded with a bundle's weights, its histories empty.

    Parameters
    ----------
    bundle : a compiled user model, or the folder of one
    memory : model behind the memory channels of streamed weights
    dram : parameters of the DRAM by kind of channel
    wave : build it so that it can write waves
    progress : called with the steps of a build, which may take a minute

    Raises
    ------
    BundleError
        If the bundle is damaged.
    DeviceError
        If the unit is of another configuration, or took other weights than were sent.
    """

    def __init__(
        self,
        bundle: EdgeBundle | Path | str,
        *,
        memory: Memory = "dram",
        dram: Mapping[SourceKind, DramParameters] | None = None,
        wave: Literal["vcd", "fst"] | None = None,
        progress: BuildProgress | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, EdgeBundle) else EdgeBundle.read(bundle)
        config, model = self.bundle.config, self.bundle.model
        self.library = build(config, verilog(config), wave=wave, progress=progress)
        tables = [StoredTable(rows=rows) for rows in stream_tables(config, model)]
        self.simulator = MessageSimulator(config, self.library, tables=tables, memory=memory, dram=dram)
        self.registers = Registers(config, self.simulator)
        digest = int(config.digest[:8], 16)
        if self.registers["digest"] != digest:
            raise DeviceError(f"the unit is of configuration {self.registers['digest']:08x}, not {digest:08x}")
        load_unit(self.bundle, self.simulator, self.registers)
        self._tag = 0

    def close(self) -> None:
        """End the simulation; closing twice is allowed."""
        self.simulator.close()

    def reload(self) -> None:
        """Load the bundle's weights and constants again, streamed ones into memory, and compare what the unit took.

        Histories and static inputs stay. That repairs bits that have changed since; whether any had is told by
        `check_weights`. The result of static inputs that was computed meanwhile is computed again by `set_static`.
        """
        self._settle()
        with device_errors():
            write_streams(self.bundle, self.simulator)
            load_unit(self.bundle, self.simulator, self.registers)
        self._settle()

    def check_weights(self) -> None:
        """Have the unit read its weights, parameters and constants, and compare them with the bundle's.

        Streamed weights are read from memory, a whole pass of them. `counters` are then not those of an exchange.

        Raises
        ------
        InputError
            If the unit was compiled without `EdgeOptions(weight_check=True)`.
        DeviceError
            If some have changed since they were loaded: names the parts. `reload` repairs them.
        """
        checks = unit_checks(self.bundle)
        self._settle()
        with device_errors():
            read_streams_again(self.bundle, self.simulator, self.registers)
        self._settle()
        with device_errors():
            expect_unchanged(checks, self.simulator.ask, self.registers, name=UNIT)

    def _settle(self) -> None:
        """Wait until no update is under way in the background, and no weights are read anew."""
        self._expect_open()
        if self.bundle.config.static is not None or self.bundle.config.streams:
            self.exchange([self.message(Kind.FENCE)])

    def preload(self, history: Sequence[npt.ArrayLike], *, group: int | None = None) -> None:
        """Begin a session with a history, in the place of what was there.

        Parameters
        ----------
        history : entries, the oldest first, each float32 (elements of all its tables,); none empties the history
        group : number of the history; by default the longest

        Raises
        ------
        InputError
            If there are more entries than the history keeps, or one has a wrong size: nothing is sent then.
        """
        group = self._group(group)
        slots = self.bundle.config.histories[group].slots
        if len(history) > slots:
            raise InputError(f"history {group} keeps {slots} entries, not {len(history)}")
        entries = [self.bundle.entry(group, values) for values in history]
        if not entries:
            self._ask([self.message(Kind.CLEAR, group=group)])
            return
        kinds = [Kind.PRELOAD] + [Kind.CLICK] * (len(entries) - 1)
        self._ask([self.message(kind, entry, group=group) for kind, entry in zip(kinds, entries, strict=True)])

    def click(self, entry: npt.ArrayLike, *, group: int | None = None, version: int | None = None) -> int:
        """A new entry takes the oldest one's place.

        Parameters
        ----------
        entry : float32 (elements of all the history's tables,): the embeddings that came with the candidate
        group : number of the history; by default the longest
        version : model version of the embeddings; by default the bundle's

        Returns
        -------
        Cycles from the message's first beat until the next query would see the entry.

        Raises
        ------
        InputError
            If the entry has a wrong size or is not finite, or the version is none.
        DeviceError
            If the version is stale; the history is as it was.
        """
        group = self._group(group)
        message = self.message(Kind.CLICK, self.bundle.entry(group, entry), group=group, version=version)
        return round(float(self._ask([message]).acted[0]))

    def set_static(self, values: npt.ArrayLike, *, wait: bool = True) -> int:
        """New static inputs: the memoisation register is brought up to date in the background.

        Parameters
        ----------
        values : float32 (static inputs,)
        wait : until the register holds their result; otherwise queries meanwhile use the old one

        Returns
        -------
        Their number, which is `Payload.statics` of the queries that use them.

        Raises
        ------
        InputError
            If the model has no static inputs, or there are not as many, or one is not finite.
        """
        if self.bundle.config.static is None:
            raise InputError(f"{self.bundle.config.name} has no static inputs")
        messages = [self.message(Kind.STATIC, self.bundle.static(values))]
        if wait:
            messages.append(self.message(Kind.FENCE))
        return self._ask(messages).answers[0].tag % (1 << TAG_BITS)

    def infer(self, context: npt.ArrayLike = (), *, out: npt.NDArray[np.uint8] | None = None) -> Payload:
        """The user vector for a context.

        Parameters
        ----------
        context : float32 (context inputs,); none of a model without a bottom MLP
        out : uint8 buffer of at least the payload's bytes, for `Payload.values`

        Raises
        ------
        InputError
            If the context has a wrong size or is not finite, or `out` is too short or read-only: nothing is sent then.
        DeviceError
            If the memoisation register has no value yet, or streamed weights could not be read.
        """
        size = self.bundle.config.payload_bytes
        if out is not None and (out.dtype != np.uint8 or out.ndim != 1 or len(out) < size):
            raise InputError(f"out must be uint8 of at least {size} bytes, not {out.dtype} {out.shape}")
        if out is not None and not out.flags.writeable:
            raise InputError("out must be writable, but it is read-only")
        exchange = self._ask([self.message(Kind.QUERY, self.bundle.context(context))])
        (answer,) = exchange.answers
        values = answer.payload
        if out is not None:
            out[:size] = values
            values = out[:size]
        return Payload(
            values=values,
            coded=answer.coded,
            scale=float(answer.scale),
            zero_point=answer.zero_point,
            version=answer.version,
            statics=answer.statics,
            cycles=round(float(exchange.answered[0])),
        )

    def check(self, *, group: int | None = None) -> None:
        """Sum a history again and compare it with its running sums; raises DeviceError if they differ."""
        self._ask([self.message(Kind.CHECK, group=self._group(group))])

    def message(
        self,
        kind: Kind,
        elements: npt.ArrayLike = (),
        *,
        group: int = 0,
        version: int | None = None,
    ) -> Beats:
        """A message with the next tag, as `pack_message`; raises InputError where that raises ValueError."""
        self._tag = (self._tag + 1) % (1 << 32)
        own = self.bundle.model.version if version is None else version
        config = self.bundle.config
        try:
            return pack_message(config, tag=self._tag, version=own, kind=kind, group=group, elements=elements)
        except ValueError as error:
            raise InputError(str(error)) from error

    def exchange(self, messages: Sequence[Beats], *, mode: Literal["saturated", "idle"] = "saturated") -> Exchange:
        """Send messages as they are; answers are returned whatever their status."""
        self._expect_open()
        if not messages:  # a run has at least one
            return Exchange(answers=(), acted=np.zeros(0), answered=np.zeros(0))
        config = self.bundle.config
        words, lengths = join_messages(messages)
        capacity = len(messages) * (1 + math.ceil(config.payload_bytes / config.row_elements))
        patience = PATIENCE + 16 * sum(feature.rows for feature in config.features)
        try:
            self.registers["items"] = len(messages)
            self.registers["control"] = 1
            result = self.simulator.exchange(words, capacity=capacity, mode=mode, beats=lengths, patience=patience)
        except SimulationError as error:
            raise DeviceError(str(error)) from error
        return exchange_of(config, result)

    def _ask(self, messages: Sequence[Beats]) -> Exchange:
        """As `exchange`; raises DeviceError if a message was refused."""
        exchange = self.exchange(messages)
        for answer in exchange.answers:
            if answer.status:
                raise DeviceError(f"{self.bundle.config.name}: {what_is_wrong(answer)}")
        return exchange

    def _expect_open(self) -> None:
        if self.simulator.closed:
            raise DeviceError("the device is closed; open the bundle again")

    def _group(self, group: int | None) -> int:
        histories = self.bundle.config.histories
        count = len(histories)
        chosen = max(range(count), key=lambda k: histories[k].slots) if group is None else group
        if not 0 <= chosen < count:
            raise InputError(f"group must be 0 to {count - 1}, not {group}")
        return chosen

    def counters(self) -> dict[str, int]:
        """The unit's counters of the last exchange, by name, and what follows from them.

        `sram_reads`, `sram_writes`: rows of scratchpad, sums and weights; `macs`: products, padding included. Reads and
        stalls of memory channels count from the opening on, because weights are read ahead between exchanges too.
        """
        return counters_of(self.bundle.config, self.registers)

    def set_stalls(self, probability: float, *, seed: int) -> None:
        """Make every stream wait at random; answers stay the same."""
        self.simulator.set_stalls(Stalls.everywhere(probability, seed=seed))

    def set_faults(self, faults: Mapping[int, Fault]) -> None:
        """Make memory channels, by number, misbehave."""
        self.simulator.set_faults(faults)

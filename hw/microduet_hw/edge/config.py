"""The frozen configuration of an edge unit."""

import math
from typing import Literal

import msgspec

from microduet_hw.config import AXI_BYTES, Feature, Frozen, Identified, Part, Precision, Source, SourceKind
from microduet_hw.stack import Stack

BEAT_BITS = 512
"""Bits of a beat of a message."""

COUNT_BITS = 16
"""Bits of a number of elements in the header of a message or an answer."""


class History(Frozen, frozen=True, kw_only=True):
    """Tables of the user that one click updates together, and how many entries of each are kept.

    Parameters
    ----------
    dims : elements of an entry, per table
    slots : entries of each table: the lookups that are pooled
    """

    dims: tuple[int, ...]
    slots: int

    def __post_init__(self) -> None:
        if not self.dims or min(self.dims) < 1:
            raise ValueError(f"dims must be at least one number above 0, not {self.dims!r}")
        if self.slots < 1:
            raise ValueError(f"slots must be at least 1, not {self.slots!r}")

    @property
    def elements(self) -> int:
        """Elements of one entry of all tables."""
        return sum(self.dims)


class EdgeConfig(Identified, frozen=True, kw_only=True):
    """Everything the gateware of one edge unit depends on; weights and histories are not in it.

    The vector that the user top MLP reads: pooled histories table by table, the static bottom MLP's outputs, the
    dynamic one's. A row is `top.lanes` elements: the width of scratchpad, sums and the top array's operand.

    Parameters
    ----------
    histories : groups of tables, each with a tracker of its own
    element_bits : of an element of the scratchpad (signed): 32 in the paper's Table 4, or 16
    static, dynamic : bottom MLPs in fixed16, None for a model without
    top : user top MLP in int8
    clock_mhz : clock at which times are quoted
    watchdog : cycles after which streamed weights that do not come, and a message that does not go on, are given up
    checksum_bits : of the checksums over what was loaded, which is read on request, and over every pass of streamed
        weights; where there are none, the JSON does not name it

    Raises
    ------
    ValueError
        If the vector is not what the top MLP reads, a history is not of whole rows, a message or an answer would have
        more elements than its header can say, an array does not suit its place, or the watchdog does not wait.
    """

    name: str
    histories: tuple[History, ...]
    element_bits: int = 32
    static: Stack | None = None
    dynamic: Stack | None = None
    top: Stack
    clock_mhz: int = 1000
    watchdog: int = 65536
    checksum_bits: Literal[32] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.element_bits not in (16, 32):
            raise ValueError(f"element_bits must be 16 or 32, not {self.element_bits!r}")
        if self.top.lanes > AXI_BYTES:
            raise ValueError(
                f"top: lanes must be at most {AXI_BYTES}, the bytes of an answer's beat, not {self.top.lanes}"
            )
        if self.watchdog < 1:
            raise ValueError(f"watchdog must be at least 1, not {self.watchdog!r}")
        if not 1 <= len(self.histories) <= 256:
            raise ValueError(f"histories must be 1 to 256, not {len(self.histories)}")
        for number, history in enumerate(self.histories):
            if history.elements % self.top.lanes:
                raise ValueError(
                    f"history {number}: {history.elements} elements are not whole rows of {self.top.lanes}"
                )
        for name, stack in self.stacks.items():
            if stack is not None:
                _check_stack(name, stack)
        counts = {f"history {number}": history.elements for number, history in enumerate(self.histories)}
        counts |= {name: stack.inputs for name, stack in self.stacks.items() if stack and name != "top"}
        for name, count in (counts | {"payload": self.payload_bytes}).items():
            if count >> COUNT_BITS:
                raise ValueError(f"{name}: elements must be below 2^{COUNT_BITS}, not {count}")
        if self.top.inputs != self.pooled_elements + self.bottom_elements:
            raise ValueError(
                f"top: inputs must be {self.pooled_elements} pooled + {self.bottom_elements} bottom elements, "
                f"not {self.top.inputs}"
            )

    @property
    def weight_check(self) -> bool:
        """Whether bits that change in what was loaded, or in streamed weights, are found."""
        return self.checksum_bits is not msgspec.UNSET

    @property
    def row_elements(self) -> int:
        """Elements of a row of scratchpad, sums and the top MLP's operand."""
        return self.top.lanes

    @property
    def row_beats(self) -> int:
        """Beats of a message that carry a row; the last one's rest is padding."""
        return math.ceil(self.row_elements * self.element_bits / BEAT_BITS)

    def rows(self, group: int) -> int:
        """Rows of one entry of history `group`."""
        return self.histories[group].elements // self.row_elements

    @property
    def pooled_elements(self) -> int:
        """Elements of the pooled histories."""
        return sum(history.elements for history in self.histories)

    @property
    def bottom_elements(self) -> int:
        """Outputs of both bottom MLPs."""
        return sum(stack.outputs for stack in (self.static, self.dynamic) if stack)

    @property
    def sum_bits(self) -> int:
        """Bits of a running sum (signed): no history of full-scale elements overflows it."""
        return self.element_bits + math.ceil(math.log2(max(history.slots for history in self.histories)))

    @property
    def payload_bytes(self) -> int:
        """Values of the user vector, one byte each; the header is not counted."""
        return self.top.outputs

    @property
    def scratchpad_bytes(self) -> int:
        """Duet's Table 4: entries of all histories."""
        return sum(history.elements * history.slots for history in self.histories) * self.element_bits // 8

    @property
    def streams(self) -> dict[str, Stack]:
        """Stacks whose weights come from memory, in the order of their channels."""
        stacks = {"static": self.static, "top": self.top}
        return {name: stack for name, stack in stacks.items() if stack is not None and stack.streamed}

    def stream_channels(self, stream: str) -> tuple[int, ...]:
        """Memory channels that feed the array of `stream`: each carries 32 bytes of every row."""
        first = 0
        for name, stack in self.streams.items():
            count = stack.multipliers * stack.precision.width // (8 * AXI_BYTES)
            if name == stream:
                return tuple(range(first, first + count))
            first += count
        raise ValueError(f"stream must be one of {', '.join(self.streams) or 'none'}, not {stream!r}")

    @property
    def channels(self) -> tuple[int, ...]:
        """Memory channels, by number."""
        return tuple(k for name in self.streams for k in self.stream_channels(name))

    @property
    def counters(self) -> tuple[str, ...]:
        """Events that the unit counts while a run is on."""
        events = ["scratchpad_reads", "scratchpad_writes", "sum_reads", "sum_writes", "pooled_rows", "commits"]
        steps = [f"{name}_steps" for name, stack in self.stacks.items() if stack is not None]
        return ("cycles", "messages", "answers", "answer_stalls", *events, *steps, "top_starved")

    @property
    def stacks(self) -> dict[str, Stack | None]:
        """The unit's arrays by name; their order is their number in load beats."""
        return {"dynamic": self.dynamic, "static": self.static, "top": self.top}

    @property
    def features(self) -> tuple[Feature, ...]:
        """What lies in the memory channels, as tables of 16-bit elements: a channel's share of the streamed rows."""
        lengths = [stream_rows(stack) for name, stack in self.streams.items() for _ in self.stream_channels(name)]
        return tuple(Feature(rows=rows, dim=AXI_BYTES // 2, position=0) for rows in lengths)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where that lies: row after row, from the first byte of its channel."""
        return tuple(
            Source(
                kind=SourceKind.LPDDR,
                parts=(Part(feature=k, rows=feature.rows, columns=feature.dim, base=0, stride_log2=5),),
            )
            for k, feature in enumerate(self.features)
        )

    @property
    def precision(self) -> Precision:
        """Of the elements in the memory channels."""
        return Precision.FIXED16

    @property
    def engine_mhz(self) -> int:
        """The only clock; the memory channels' ports run at it too."""
        return self.clock_mhz

    @property
    def memory_mhz(self) -> int:
        """The same clock."""
        return self.clock_mhz


def _check_stack(name: str, stack: Stack) -> None:
    """Raise ValueError unless the unit can have an array `name` like this."""
    wanted = Precision.INT8 if name == "top" else Precision.FIXED16
    if stack.precision is not wanted:
        raise ValueError(f"{name}: precision must be {wanted}, not {stack.precision}")
    if name != "top" and BEAT_BITS % (stack.lanes * wanted.width):
        raise ValueError(f"{name}: lanes must divide {BEAT_BITS // wanted.width}, not {stack.lanes}")
    if stack.lanes % stack.pes and stack.pes % stack.lanes:
        raise ValueError(
            f"{name}: words have no holes if lanes are a multiple of PEs or the other way round, "
            f"not {stack.lanes} and {stack.pes}"
        )
    if stack.streamed and stack.multipliers * wanted.width % (8 * AXI_BYTES):
        raise ValueError(f"{name}: streamed rows must be whole beats of {AXI_BYTES} bytes")


def stream_rows(stack: Stack) -> int:
    """Rows of weights that one vector takes: rounds x steps of every layer."""
    from microduet_hw.layout import plan_layer

    return sum(plan.rounds * plan.steps for plan in (plan_layer(stack, k) for k in range(len(stack.layers))))

"""The frozen configuration of an engine: the one object that crosses every border of the project."""

import enum
import hashlib
import math
from typing import Literal, Self

import msgspec

AXI_BYTES = 32
"""Bytes of one beat of a memory channel (256 bits, the port of a U280 pseudo-channel)."""

CHECK_BITS = 16
"""Bits of a row's check word, where rows have one."""

CHECKSUM_BITS = 32
"""Bits of the checksum over weights that are read on request, where they can be."""

MAX_ARRAYS = 16
"""Arrays that the unit of a load beat can name (4 bits)."""

MAX_PES = 4096
"""PEs of an array that it can name (11 bits for the pair, 1 for the half)."""


class Precision(enum.StrEnum):
    """Arithmetic of a whole engine."""

    FIXED16 = "fixed16"
    FIXED32 = "fixed32"
    INT8 = "int8"

    @property
    def width(self) -> int:
        """Bits of one element of an activation, a weight or a table row."""
        return {Precision.FIXED16: 16, Precision.FIXED32: 32, Precision.INT8: 8}[self]

    @property
    def signed(self) -> bool:
        """Whether activations are signed. Weights always are, and symmetric: never the most negative value."""
        return self is not Precision.INT8

    @property
    def logit_width(self) -> int:
        """Bits of the integer logit: 8 would tie most of a ranking's head, so int8 ends in 16."""
        return max(16, self.width)

    def accumulator_width(self, terms: int) -> int:
        """Bits that hold any sum of `terms` products and its bias.

        ``|x w| <= 2^(w-1) (2^(w-1) - 1)`` because weights are symmetric, so I products stay below 2^(2w - 2 + log2 I);
        the bias has the same bound. int8 keeps the 32 bits of its definition.
        """
        return 32 if self is Precision.INT8 else 2 * self.width + math.ceil(math.log2(terms))


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of configuration objects: immutable, compared by value, read from and written to JSON."""

    def replace(self, **changes: object) -> Self:
        """A copy with some fields changed, checked again."""
        return msgspec.structs.replace(self, **changes)


class Identified(Frozen, frozen=True, kw_only=True):
    """Base of what crosses the project's borders whole: written as JSON, told apart by its digest."""

    def to_json(self) -> bytes:
        """Canonical JSON: equal configurations give equal bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1)

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read what `to_json` wrote; raises msgspec.ValidationError on anything else."""
        return msgspec.json.decode(text, type=cls)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, as hexadecimal text."""
        return hashlib.sha256(self.to_json()).hexdigest()


class Feature(Frozen, frozen=True, kw_only=True):
    """One sparse feature: `lookups` rows of one table, summed, at `position` of the concatenated vector."""

    rows: int
    dim: int
    lookups: int = 1
    position: int

    def __post_init__(self) -> None:
        for name in ("rows", "dim", "lookups"):
            if getattr(self, name) < 1:
                raise ValueError(f"feature {name} must be at least 1, not {getattr(self, name)!r}")


class Part(Frozen, frozen=True, kw_only=True):
    """A rectangle of one feature's table, stored in one source.

    It holds rows ``row_first + (k << row_step_log2)`` for k < `rows`, columns column_first .. column_first + columns -
    1, and serves the feature's lookups lookup_first .. lookup_first + lookups - 1 of each item.

    Row k lies at byte ``base + spread(k << stride_log2)`` of the source, where ``spread(x)`` puts `hole_bits` zeros
    above the `hole_log2` lowest bits of x: with the hole over bank bits of an address, all rows of the part lie in the
    banks that `base` says there. Strides are whole beats of 32 bytes.
    """

    feature: int
    row_first: int = 0
    row_step_log2: int = 0
    """0: consecutive rows. n: every 2^n-th row from one of the first 2^n on, so that rows are shared by n bits."""
    rows: int
    column_first: int = 0
    columns: int
    lookup_first: int = 0
    lookups: int | None = None
    """None: all of the feature's lookups."""
    base: int
    stride_log2: int
    hole_log2: int = 0
    hole_bits: int = 0

    @property
    def row_numbers(self) -> range:
        """The table's rows that the part holds, in the order in which they lie."""
        step = 1 << self.row_step_log2
        return range(self.row_first, self.row_first + self.rows * step, step)

    def served(self, feature: Feature) -> range:
        """Numbers of the lookups of `feature`, the part's, that it serves."""
        count = feature.lookups if self.lookups is None else self.lookups
        return range(self.lookup_first, self.lookup_first + count)

    def offset(self, row: int) -> int:
        """Byte, in the source, of the row-th row of the part."""
        linear = row << self.stride_log2
        low = linear & ((1 << self.hole_log2) - 1)
        return self.base + ((linear >> self.hole_log2) << (self.hole_log2 + self.hole_bits)) + low

    @property
    def end(self) -> int:
        """The first byte behind the part's last row."""
        return self.offset(self.rows - 1) + (1 << self.stride_log2)


class SourceKind(enum.StrEnum):
    """What a source is made of."""

    HBM = "hbm"
    DDR = "ddr"
    LPDDR = "lpddr"
    ONCHIP = "onchip"


class Source(Frozen, frozen=True, kw_only=True):
    """A memory channel or an on-chip bank: it serves its parts' lookups feature by feature, item by item."""

    kind: SourceKind
    parts: tuple[Part, ...]


class Layer(Frozen, frozen=True, kw_only=True):
    """One fully connected layer."""

    inputs: int
    outputs: int
    relu: bool = True


class Array(Frozen, frozen=True, kw_only=True):
    """A PeArray: `pes` processing elements of `lanes` lanes, computing hidden layers `layers` in turn.

    `drain` outputs leave per cycle: the lanes of whatever consumes them.
    """

    pes: int
    lanes: int
    drain: int
    layers: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.pes < 2 or self.pes % 2:
            raise ValueError(f"an array has an even number of PEs (they come in pairs), not {self.pes!r}")
        if self.pes > MAX_PES:
            raise ValueError(f"an array has at most {MAX_PES} PEs, not {self.pes!r}")
        if not self.layers:
            raise ValueError("an array computes at least one layer, not ()")
        if min(self.lanes, self.drain) < 1:
            raise ValueError(f"lanes and drain must be at least 1, not {self.lanes!r} and {self.drain!r}")

    @property
    def requantised(self) -> int:
        """Outputs that leave together: fewer than a word's if there are not so many PEs."""
        return min(self.pes, self.drain)


class Payload(enum.StrEnum):
    """What a user vector is."""

    VECTOR = "vector"
    """uint8 elements, which the user's columns of the layer's weights multiply (Duet's split)."""
    SUMS = "sums"
    """The layer's own sums, int32 each, in units of 2^shift (the lossless split)."""


class UserPart(Frozen, frozen=True, kw_only=True):
    """Where users come into an engine that ranks items for them: sums of one layer begin with the user's part.

    Parameters
    ----------
    layer : of `EngineConfig.layers`; its `inputs` are the item's alone
    elements : of a user vector
    lanes : elements of a user vector that are multiplied per cycle
    slots : queries in flight, at most 64
    waiting : items of a query that may wait for its user vector, a power of two
    top_k : results of a query that are kept in order
    watchdog : engine cycles that an item waits for its user vector at most
    """

    layer: int
    payload: Payload = Payload.VECTOR
    elements: int
    lanes: int = 16
    slots: int = 8
    waiting: int = 1024
    top_k: int = 16
    watchdog: int = 12_000_000

    @property
    def bytes(self) -> int:
        """Of a user vector."""
        return self.elements * (1 if self.payload is Payload.VECTOR else 4)

    @property
    def multipliers(self) -> int:
        """Multipliers that take a user vector in."""
        return self.lanes if self.payload is Payload.VECTOR else 0


class EngineConfig(Identified, frozen=True, kw_only=True):
    """Everything the gateware of one engine depends on; weights and table contents are not in it.

    Raises
    ------
    ValueError
        If the layers do not chain, a part leaves its table, a row of a feature is not served exactly once to each of
        its lookups, parts lie over each other or partners do not serve the same.
    """

    name: str
    precision: Precision
    features: tuple[Feature, ...]
    dense: int = 0
    dense_position: int = 0
    sources: tuple[Source, ...]
    hidden: tuple[Layer, ...]
    output: Layer
    arrays: tuple[Array, ...]
    bottom: int = 0
    """Hidden layers that are the bottom MLP: the first reads the dense elements. The layer behind them reads the
    features, then their outputs. 0: the first layer reads the whole vector."""
    user: UserPart | None = None
    sigmoid: bool = True
    engine_mhz: int = 120
    memory_mhz: int = 450
    vector_slots: int = 4
    """Assembled vectors that may wait for the first layer."""
    outstanding: int = 32
    """Reads in flight per memory channel."""
    watchdog: int = 4096
    """Memory-side cycles after which the oldest read of a channel is given up, or an item whose packet has stopped."""
    check_bits: Literal[16] | msgspec.UnsetType = msgspec.UNSET
    """Of the check word that every row in a memory channel ends in; where there is none, the JSON does not name it."""
    checksum_bits: Literal[32] | msgspec.UnsetType = msgspec.UNSET
    """Of the checksum over weights that are read on request; as `check_bits`."""

    def __post_init__(self) -> None:
        from microduet_hw.legality import check  # the rules are a page of their own

        check(self)

    @property
    def feature_elements(self) -> int:
        """Elements of all features."""
        return sum(feature.dim for feature in self.features)

    @property
    def vector_elements(self) -> int:
        """Elements of the concatenated vector."""
        return self.feature_elements + self.dense

    @property
    def sections(self) -> tuple[int, ...]:
        """Elements of the vector's sections, each of which begins with a word: dense ones lead with a bottom MLP."""
        return (self.dense, self.feature_elements) if self.bottom else (self.vector_elements,)

    @property
    def feature_start(self) -> int:
        """Where the features' positions count from in the vector."""
        return self.dense if self.bottom else 0

    @property
    def header_words(self) -> int:
        """Words of an item packet before its lookups: the tag and, if there are users, which query it is of."""
        return 1 if self.user is None else 2

    @property
    def spread(self) -> int:
        """n if every feature lies over all of 2^n channels, row i in channel i mod 2^n; otherwise 0."""
        from microduet_hw.part_rules import spread

        return spread(self)

    @property
    def lookups(self) -> int:
        """Indices of one item: the columns of `sparse`."""
        return sum(feature.lookups for feature in self.features)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Hidden layers and the output layer."""
        return (*self.hidden, self.output)

    @property
    def row_check(self) -> bool:
        """Whether rows in memory channels end in a check word."""
        return self.check_bits is not msgspec.UNSET

    @property
    def weight_check(self) -> bool:
        """Whether weights are read on request, to find bits that have changed since they were loaded."""
        return self.checksum_bits is not msgspec.UNSET

    @property
    def channels(self) -> tuple[int, ...]:
        """Indices of the sources that are memory channels with an AXI port."""
        return tuple(k for k, source in enumerate(self.sources) if source.kind is not SourceKind.ONCHIP)

    @property
    def counters(self) -> tuple[str, ...]:
        """Events that the engine counts while a run is on."""
        per_array = [f"array_{k}_{event}" for k in range(len(self.arrays)) for event in ("busy", "starved", "blocked")]
        users = ("users", "users_dropped", "answers", "waiting", "waiting_full") if self.user else ()
        return ("cycles", "vectors", "results", "result_stalls", *per_array, *users)

    @property
    def partners(self) -> tuple[tuple[int, ...], ...]:
        """Sources by groups whose rows are summed together, because they share a pooled feature; most are alone."""
        from microduet_hw.part_rules import partners  # what makes partners of sources is a rule

        return partners(self)

    @property
    def elements_per_beat(self) -> int:
        """Elements that one 32-byte beat holds."""
        return AXI_BYTES * 8 // self.precision.width

    @property
    def accumulator_width(self) -> int:
        """Bits that hold any sum of products and its bias."""
        return self.precision.accumulator_width(max(layer.inputs for layer in self.layers))

    @property
    def multipliers(self) -> int:
        """Multipliers of the hidden layers' arrays."""
        return sum(array.pes * array.lanes for array in self.arrays)

    @property
    def streamed(self) -> bool:
        """Weights lie in the PEs."""
        return False

    @property
    def output_lanes(self) -> int:
        """Lanes of the output layer's processing element."""
        return self.arrays[-1].drain if self.arrays else self.input_lanes

    @property
    def input_lanes(self) -> int:
        """Elements of one word of the assembled vector."""
        return self.arrays[0].lanes if self.arrays else 16

"""A point of a sweep, and what its result depends on."""

import functools
import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from microduet_hw.config import Precision
from microduet_sim.dram import Memory

Positive = Annotated[int, msgspec.Meta(ge=1)]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Measure = Literal["search", "engine", "query"]


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is measured, and of what: an axis per field.

    Members
    -------
    measure : search predicts an engine's cycles, engine simulates it alone, query with edge unit and link
    arrays, multipliers : label or budget; None for the search's choice
    channels : the board's first ones; None for all
    engine_mhz, memory_mhz : None for the usual ones
    items : that are ranked
    n : candidates of a query
    """

    measure: Measure
    model: Text
    precision: Precision = Precision.FIXED16
    board: Text = "u280"
    arrays: Text | None = None
    multipliers: Positive | None = None
    channels: Positive | None = None
    engine_mhz: Positive | None = None
    memory_mhz: Positive | None = None
    memory: Memory = "dram"
    traffic: Text = "uniform"
    items: Positive = 256
    n: Positive = 256
    seed: Natural = 0

    @property
    def key(self) -> str:
        """Digest of every field and of the files that fields name; a file that is missing has no contents."""
        digest = hashlib.sha256(msgspec.json.encode(self))
        for value in (self.model, self.board, self.traffic):
            path = Path(value.rpartition(":")[0] if ".py:" in value else value)
            digest.update(b"\0" + (path.read_bytes() if path.is_file() else b""))
        return digest.hexdigest()[:20]

    @property
    def label(self) -> str:
        """Like ``rm1, int8, multipliers 512``: the model and what differs from the defaults."""
        usual = Point(measure=self.measure, model=self.model)
        names = [name for name in self.__struct_fields__[2:] if getattr(self, name) != getattr(usual, name)]
        return ", ".join([self.model, *(f"{name} {getattr(self, name)}" for name in names)])


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A point's result; None where the measure has no such figure.

    Members
    -------
    predicted : nothing was simulated
    chosen : label of the arrays
    cycles : engine cycles per item, of measure "query" per query
    lookup_ns : of items in an idle engine, mean; p50 and p99 of the same
    query_us : from the context to the answer
    counters : the gateware's
    seconds : that the measurement took, build included
    """

    predicted: bool
    chosen: str
    cycles: float
    dsp: int
    bram36: int
    uram: int
    used_multipliers: int
    multiplier_use: float | None = None
    idle_latency_cycles: float | None = None
    p50_latency_cycles: float | None = None
    p99_latency_cycles: float | None = None
    lookup_ns: float | None = None
    lookup_p50_ns: float | None = None
    lookup_p99_ns: float | None = None
    query_us: float | None = None
    queries_per_s: float | None = None
    config_digest: str | None = None
    counters: dict[str, int] = {}
    seconds: float = 0.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Figures, or in one line why there are none."""

    figures: Figures | None = None
    cause: str | None = None


@functools.cache
def code_digest() -> str:
    """Hash of the sources that a result depends on."""
    import microduet_hw
    from microduet.cache import source_digest
    from microduet_sim.build import runtime_digest

    digest = hashlib.sha256(source_digest() + runtime_digest().encode())
    here, hardware = Path(__file__).parent, Path(str(microduet_hw.__file__)).parent
    own = [here / name for name in ("arrays.py", "figures.py")]
    for file in sorted([*own, *(here.parent / "queries").glob("*.py"), *hardware.rglob("*.py")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:20]

"""What the check of an edge unit's weights tells those who have them, and what they show it."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.pe_array import PeArrayShape
from microduet_hw.weight_check import CheckPort


class StreamCheck(wiring.Signature):
    """A stream of weights whose passes are compared with `sum`, ``zlib.crc32`` of one.

    `again`, a pulse between two passes: what was read ahead is dropped, and a whole pass read anew. Meanwhile `busy` is
    high, and no row may be wanted. `changed`: the pass that was read so, or one since, was another, or none came.
    """

    def __init__(self) -> None:
        super().__init__({"sum": Out(32), "again": Out(1), "busy": In(1), "changed": In(1)})


class ArrayCheck(wiring.Signature):
    """What an array is loaded with: a `CheckPort` of its parameters, and of weights that lie in its PEs.

    These are summed as `WeightCheck` has it, with `take` and `shift`. Streamed ones have a `StreamCheck`.
    """

    def __init__(self, shape: PeArrayShape) -> None:
        requantiser = shape.drain.requantiser
        weights: dict[str, wiring.Member] = {"stream": Out(StreamCheck())}
        if not shape.pe.streamed:
            tail = requantiser.lanes * shape.pe.chain_bits
            weights = {"weights": Out(CheckPort(tail)), "take": Out(1), "shift": Out(1)}
        super().__init__({"parameters": Out(CheckPort(requantiser.parameters.size)), **weights})

"""What comes back from an edge unit."""

import dataclasses

import numpy as np
import numpy.typing as npt

from microduet.register_access import Registers
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import EdgeStatus, Kind
from microduet_hw.edge.packets import Answer, unpack_answer
from microduet_sim.messages import Answers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Payload:
    """A user vector: value v stands for ``(v - zero_point) * scale``.

    Members
    -------
    values : uint8 (payload bytes,)
    coded : uint8, the values without their zeros (`microduet_hw.user_code`) as the unit sent them; None if that would
        not be shorter
    scale, zero_point, version : of the model
    statics : number of the static inputs that it depends on, as `EdgeDevice.set_static` gave it
    cycles : from the context's first beat to the payload's last
    """

    values: npt.NDArray[np.uint8]
    coded: npt.NDArray[np.uint8] | None
    scale: float
    zero_point: int
    version: int
    statics: int
    cycles: int

    @property
    def sent_bytes(self) -> int:
        """Bytes that the unit sent, and that cross a link: of the code, or of the values."""
        return len(self.values if self.coded is None else self.coded)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exchange:
    """Answers to messages, in their order, and when things happened, in cycles from the first beat of each message.

    Members
    -------
    answers : one per message
    acted : float64 (messages,): the message's effect was complete
    answered : float64 (messages,): the last beat of its answer was taken
    """

    answers: tuple[Answer, ...]
    acted: npt.NDArray[np.float64]
    answered: npt.NDArray[np.float64]


def has_acted(answer: Answer) -> bool:
    """Whether a message whose answer has a status has acted, and what came of it is wrong.

    TIMEOUT of a payload or a fence is of streamed weights; of anything else, that the message itself did not go on.
    """
    streamed = EdgeStatus.TIMEOUT if len(answer.payload) or answer.kind is Kind.FENCE else EdgeStatus.OK
    wrong = EdgeStatus.AXI_ERROR | EdgeStatus.SUM_MISMATCH | EdgeStatus.WEIGHT_CHECK
    return bool(answer.status & (wrong | streamed))


def what_is_wrong(answer: Answer) -> str:
    """Of an answer that has a status: what was asked for, and what became of it."""
    names = ", ".join(flag.name or "" for flag in answer.status).lower().replace("_", " ")
    kind = answer.kind.name.lower() if isinstance(answer.kind, Kind) else answer.kind
    return f"{kind} failed: {names}" if has_acted(answer) else f"{kind} refused: {names}; the unit is as it was"


def exchange_of(config: EdgeConfig, result: Answers) -> Exchange:
    """The simulator's answers as those of the unit of `config`."""
    ps = 1e6 / config.clock_mhz
    begun = result.accepted_ps.astype(np.float64)
    bounds = zip(result.first[:-1], result.first[1:], strict=True)
    return Exchange(
        answers=tuple(unpack_answer(config, result.beats[a:b]) for a, b in bounds),
        acted=(result.acted_ps - begun) / ps,
        answered=(result.finished_ps - begun) / ps,
    )


def counters_of(config: EdgeConfig, registers: Registers) -> dict[str, int]:
    """A unit's counters by name, and what follows from them, as `EdgeDevice.counters`."""
    counted = {name: registers.wide(name) for name in config.counters}
    counted |= {name: registers[name] for name in registers if name.startswith("channel_")}
    steps = {name: counted[f"{name}_steps"] for name, stack in config.stacks.items() if stack is not None}
    stored = sum(count for name, count in steps.items() if name not in config.streams)
    return counted | {
        "sram_reads": counted["scratchpad_reads"] + counted["sum_reads"] + stored,
        "sram_writes": counted["scratchpad_writes"] + counted["sum_writes"],
        "macs": sum(count * stack.multipliers for name, count in steps.items() if (stack := config.stacks[name])),
    }

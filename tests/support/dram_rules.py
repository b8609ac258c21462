"""The timing rules of a DRAM channel over a whole list of commands: slow, plain, and on its own.

It shares nothing with the C++ model but the meaning of the commands. Banks count over all ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from microduet_sim.dram.parameters import COMMANDS, DramParameters

Buses = Literal["channel", "rank", "bank-group"]
"""What has command and data buses of its own."""


@dataclass
class Bank:
    """What one bank went through: cycles of each kind of command."""

    activates: list[int] = field(default_factory=list[int])
    reads: list[int] = field(default_factory=list[int])
    writes: list[int] = field(default_factory=list[int])
    precharges: list[int] = field(default_factory=list[int])
    refreshes: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    row: int | None = None


def broken_rules(commands: list[list[int]], t: DramParameters, buses: Buses = "channel") -> list[str]:
    """Rules that the commands (kind, cycle, bank, row), in the order of the log, break; none if they are right."""
    return [*_banks(commands, t), *_spacing(commands, t, buses), *_buses(commands, t, buses)]


def _banks(commands: list[list[int]], t: DramParameters) -> Iterator[str]:
    banks = [Bank() for _ in range(t.ranks * t.banks)]
    for kind, cycle, number, row in commands:
        name, bank = COMMANDS[kind], banks[number]
        rank = banks[number - number % t.banks :][: t.banks]

        def since(times: list[int], gap: int, rule: str, cycle: int = cycle, name: str = name) -> Iterator[str]:
            if times and cycle - times[-1] < gap:
                yield f"{name} at {cycle}: {rule}"

        if name == "ACT":
            if bank.row is not None:
                yield f"ACT at {cycle}: the bank is open"
            yield from since(bank.activates, t.tRC, "tRC")
            yield from since(bank.precharges, t.tRP, "tRP")
            if bank.refreshes and cycle < sum(bank.refreshes[-1]):
                yield f"ACT at {cycle}: tRFC"
            bank.activates.append(cycle)
            bank.row = row
        elif name in ("RD", "WR"):
            if bank.row != row:
                yield f"{name} at {cycle}: row {row} is not open"
            yield from since(bank.activates, t.tRCDRD if name == "RD" else t.tRCDWR, "tRCD")
            (bank.reads if name == "RD" else bank.writes).append(cycle)
        elif name in ("PRE", "PREA", "AP"):
            for closing in rank if name == "PREA" else [bank]:
                if closing.row is None:
                    continue
                yield from since(closing.activates, t.tRAS, "tRAS")
                yield from since(closing.reads, t.tRTP, "tRTP")
                yield from since(closing.writes, t.CWL + t.burst_cycles + t.tWR, "tWR")
                closing.precharges.append(cycle)
                closing.row = None
        else:
            for resting in rank if name == "REFAB" else [bank]:
                if resting.row is not None:
                    yield f"{name} at {cycle}: a bank is open"
                yield from since(resting.precharges, t.tRP, "tRP")
                yield from since(resting.activates, t.tRC, "tRC")
                if resting.refreshes and cycle < sum(resting.refreshes[-1]):
                    yield f"{name} at {cycle}: tRFC"
                resting.refreshes.append((cycle, t.tRFC if name == "REFAB" else t.tRFCSB))


def _spacing(commands: list[list[int]], t: DramParameters, buses: Buses) -> Iterator[str]:
    """Between commands of any banks of a rank. What one bank's refresh draws counts as an activation."""
    for rank in range(t.ranks):
        own = [command for command in commands if command[2] // t.banks == rank]
        yield from _activations(own, t)
        yield from _columns(own, t, buses)


def _activations(commands: list[list[int]], t: DramParameters) -> Iterator[str]:
    acts = sorted((c[1], c[2] // t.banks_per_group) for c in commands if COMMANDS[c[0]] in ("ACT", "REFSB"))
    for (one, group), (other, other_group) in pairwise(acts):
        if other - one < (t.tRRD_L if group == other_group else t.tRRD_S):
            yield f"ACT at {other}: tRRD"
    for (one, _), (fifth, _) in zip(acts, acts[4:], strict=False):
        if fifth - one < t.tFAW:
            yield f"ACT at {fifth}: tFAW"


def _columns(commands: list[list[int]], t: DramParameters, buses: Buses) -> Iterator[str]:
    columns = sorted((c[1], COMMANDS[c[0]], c[2] // t.banks_per_group) for c in commands if c[0] in (1, 2))
    reach = max(t.tCCD_L, t.tRTW, t.CWL + t.burst_cycles + t.tWTR_L)
    for number, (one, kind, group) in enumerate(columns):
        for other, other_kind, other_group in columns[number + 1 :]:
            if other - one >= reach:
                break
            same = group == other_group
            if buses == "bank-group" and not same:
                continue
            if kind == other_kind:
                gap = t.tCCD_L if same else t.tCCD_S
            elif kind == "WR":
                gap = t.CWL + t.burst_cycles + (t.tWTR_L if same else t.tWTR_S)
            else:
                gap = t.tRTW
            if other - one < gap:
                yield f"{other_kind} at {other}: {gap} cycles after {kind}"


def _buses(commands: list[list[int]], t: DramParameters, buses: Buses) -> Iterator[str]:
    """Commands and data by the bus that they take; a command to all banks of a rank takes all of its buses."""
    share = {"channel": t.ranks * t.banks, "rank": t.banks, "bank-group": t.banks_per_group}[buses]
    for bus in range(t.ranks * t.banks // share):
        own = [c for c in commands if c[2] // share == bus]
        whole = [c for c in commands if c[2] // share != bus and c[2] // t.banks == bus * share // t.banks]
        row = [c[1] for c in own if COMMANDS[c[0]] not in ("RD", "WR", "AP")]
        row += [c[1] for c in whole if COMMANDS[c[0]] in ("PREA", "REFAB")]
        column = [c[1] for c in own if COMMANDS[c[0]] in ("RD", "WR")]
        kinds = {"row": row, "column": column} if t.command_buses == 2 else {"command": row + column}
        for name, cycles in kinds.items():
            if len(set(cycles)) != len(cycles):
                yield f"two commands on the {name} bus in one cycle"
        data = sorted((c[1] + (t.CL if c[0] == 1 else t.CWL), c[2] // t.banks) for c in own if c[0] in (1, 2))
        for (one, rank), (other, other_rank) in pairwise(data):
            if other - one < t.burst_cycles:
                yield f"data at {other}: the bus is taken"
            elif rank != other_rank and other - one < t.burst_cycles + t.tRTRS:
                yield f"data at {other}: tRTRS"

"""What a query made the hardware do, in the terms of the table of energies."""

import numpy as np

from microduet.edge.device import EdgeDevice
from microduet.queries.device import QueryDevice
from microduet.queries.ranking import Ranking
from microduet_hw.config import Precision, SourceKind

READ_BITS = {SourceKind.HBM: 256, SourceKind.DDR: 512}
"""Of one RD command: a burst."""

Counts = dict[str, float]


def edge_counts(device: EdgeDevice, ranking: Ranking) -> Counts:
    """Of the unit's last exchange, a query; seconds are those from the context to the user vector."""
    config, counters = device.bundle.config, device.counters()
    assert ranking.timing is not None, "the query was answered"
    found = {"edge.mac_int8": 0.0, "edge.mac_int16": 0.0, "edge.sram_bit": 0.0}
    for name, stack in config.stacks.items():
        if stack is None:
            continue
        steps = counters[f"{name}_steps"]
        width = stack.precision.width
        kind = "edge.mac_int8" if stack.precision is Precision.INT8 else "edge.mac_int16"
        found[kind] += steps * stack.multipliers
        found["edge.sram_bit"] += steps * stack.lanes * width
        if name not in config.streams:
            found["edge.sram_bit"] += steps * stack.multipliers * width
    row = config.row_elements
    found["edge.sram_bit"] += (counters["sum_reads"] + counters["sum_writes"]) * row * config.sum_bits
    found["edge.sram_bit"] += (counters["scratchpad_reads"] + counters["scratchpad_writes"]) * row * config.element_bits
    found["edge.static"] = ranking.timing.edge_us * 1e-6
    return found


def link_counts(ranking: Ranking) -> Counts:
    """The user vector's way up; the radio's base power while it is on the line."""
    assert ranking.timing is not None, "the query was answered"
    return {"link.up_bit": float(ranking.up_bits), "link.base": ranking.timing.link_us * 1e-6}


class CardMeter:
    """Counts what an engine does between two readings."""

    def __init__(self, device: QueryDevice) -> None:
        self._device = device
        self._before = device.simulator.counters()

    def counts(self, seconds: float) -> Counts:
        """Since the last reading; `seconds` is the time that the card's and the host's power is counted for."""
        device, config = self._device, self._device.bundle.config
        now, before = device.simulator.counters(), self._before
        self._before = now
        busy = [device.registers.wide(f"array_{k}_busy") for k in range(len(config.arrays))]
        items, width = device.registers["items"], config.precision.width
        user = device.user
        steps = zip(busy, config.arrays, strict=True)
        macs = sum(count * array.pes * array.lanes for count, array in steps)
        single = items * config.output.inputs
        single += user.multipliers * -(-user.elements // max(1, user.lanes)) * config.layers[user.layer].outputs
        found: Counts = {"card.mac_int16": float(single), "card.sram_bit": float((macs + single) * width)}
        kind = "card.mac_int8" if config.precision is Precision.INT8 else "card.mac_int16"
        found[kind] = found.get(kind, 0.0) + macs
        for source in config.channels:
            kind = config.sources[source].kind
            after, earlier = now.commands[source], before.commands[source]
            place = "hbm" if kind is SourceKind.HBM else "ddr"
            for name, command, weight in (
                (f"card.{place}_activation", "ACT", 1),
                (f"card.{place}_bit", "RD", READ_BITS[kind]),
            ):
                found[name] = found.get(name, 0.0) + weight * float(after[command] - earlier[command])
        return found | {"card.static": seconds, "card.host": seconds}


def joined(*counts: Counts) -> Counts:
    """All counts together."""
    names = dict.fromkeys(name for one in counts for name in one)
    return {name: float(np.sum([one.get(name, 0.0) for one in counts])) for name in names}


def loaded(counts: Counts, per_s: float) -> Counts:
    """Of one of many queries that follow each other: it has card and host for the 1 / `per_s` s between answers."""
    return counts | {"card.static": 1 / per_s, "card.host": 1 / per_s}

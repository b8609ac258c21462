"""Random items for a lookup unit, right and wrong ones, and what becomes of the reads that they make."""

from collections import Counter
from dataclasses import replace

from microduet_hw.config import AXI_BYTES, CHECK_BITS
from microduet_hw.lookup.geometry import dense_beats, index_beats, source_plan
from microduet_hw.lookup.reference import Packet, reads
from microduet_hw.status import QUERY, Status
from tests.support.axi_memory import Fate
from tests.support.axi_port import DECERR, SLVERR
from tests.support.lookups import banks


def rows_at(config, number):
    return [number % feature.rows for feature in config.features for _ in range(feature.lookups)]


def random_packet(config, rng, *, faulty):
    indices = [int(rng.integers(feature.rows)) for feature in config.features for _ in range(feature.lookups)]
    right = index_beats(config) + dense_beats(config)
    beats = None
    if faulty and rng.random() < 0.3:
        number = int(rng.integers(len(indices)))
        rows = [feature.rows for feature in config.features for _ in range(feature.lookups)][number]
        indices[number] = int(rng.choice([rows, rows + 1, 1 << 31, (1 << 32) - 1]))
    if faulty and rng.random() < 0.3:
        beats = max(1, right + int(rng.integers(-2, 3)))
    dense = [int(value) for value in rng.integers(0, 1 << config.precision.width, config.dense)]
    query = {name: int(rng.integers(1 << field.width)) for name, field in QUERY} if config.user else {}
    return Packet(tag=int(rng.integers(1 << 32)), indices=indices, dense=dense, query=query, beats=beats)


def stopped(config, rng, packet):
    """The packet of a host that stops in it: without a TLAST, of any length."""
    return replace(packet, beats=int(rng.integers(1, index_beats(config) + dense_beats(config) + 2)), gone=True)


def expected_query(config, packet):
    """The query of a packet's header: a slot that there is not becomes the last one."""
    if not config.user:
        return {name: 0 for name, _ in QUERY}
    return {**packet.query, "slot": min(packet.query["slot"], config.user.slots - 1)}


def random_fates(config, rng, asked, *, faulty, latency):
    """Fates of a channel's reads and the flags they give. Late ones are far apart, or they would excuse each other."""
    fates = []
    spared = 0
    for _, beats in asked:
        fate, status = Fate(latency=int(rng.integers(latency))), Status.OK
        draw = rng.random() if faulty else 1
        spared -= 1
        if draw < 0.08:
            code = int(rng.choice([SLVERR, DECERR]))
            fate = Fate(latency=fate.latency, error_beat=int(rng.integers(beats)), code=code)
            status = Status.AXI_ERROR
        elif draw < 0.12:
            wrong = int(rng.choice([n for n in (-2, -1, 1, 2) if beats + n > 0]))
            fate, status = Fate(latency=fate.latency, excess=wrong), Status.AXI_ERROR
        elif draw < 0.25 and spared <= 0:
            beat, long = int(rng.integers(beats)), 3 * config.watchdog
            fate, status = Fate(latency=0 if beat else long, pause_beat=beat, pause=long), Status.TIMEOUT
            spared = 2 * config.outstanding
        elif draw < 0.4 and config.row_check:
            flips = rng.choice(256 * beats, int(rng.integers(1, 4)), replace=False)
            fate, status = Fate(latency=fate.latency, flips=tuple(flips.tolist())), Status.ROW_CHECK
        fates.append((fate, status))
    return fates


def damaged(config, rng, share):
    """By bank and address, what is changed of a word as it is loaded: a bit in all words of this share of the rows."""
    damage = Counter()
    for source in banks(config):
        plan = source_plan(config, source)
        rows = [(part, row) for part in plan.parts for row in part.part.row_numbers if rng.random() < share]
        for part, row in rows:
            for beat in range(part.beats):
                damage[source, part.address(row) + AXI_BYTES * beat] = 1 << int(rng.integers(CHECK_BITS + plan.width))
    return damage


def banked(config, packets, damage):
    """By bank and item, the status of each row that is looked up there."""
    return {
        source: [
            [Status.ROW_CHECK if damage[source, place] else Status.OK for place, _ in reads(plan, config, packet)]
            for packet in packets
        ]
        for source, plan in ((source, source_plan(config, source)) for source in banks(config))
    }

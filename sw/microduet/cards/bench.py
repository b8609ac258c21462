"""`microduet bench cards`: how a model's throughput grows with the cards, and what bounds it at each size."""

import dataclasses
import json
import sys
from typing import Literal

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from microduet import compiler, model_names
from microduet.cards.compile import compile_cards
from microduet.cards.device import CardsBatch, CardsDevice, slowest_array
from microduet.cards.executor import LocalExecutor, RayExecutor
from microduet.errors import InputError, PlacementError
from microduet.job import open_device
from microduet.measure import Job
from microduet.progress import Steps, steps
from microduet.traffic import make_ids
from microduet.versions import versions
from microduet_sim.dram import Memory
from microduet_sim.network import Network

IDLE_ITEMS = 16
"""Items sent one at a time."""
LOOKUP_ITEMS = 256
"""Of the batch in which nothing but the lookups themselves holds them up."""

Row = dict[str, object]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardsBenchOptions:
    """Arguments of `microduet bench cards`."""

    model: str
    cards: tuple[int, ...]
    items: int
    precision: str
    board: str
    traffic: str
    memory: Memory
    network: Network
    seed: int
    json: bool
    engine: Literal["local", "ray"] = "local"
    address: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found:
    """What one number of cards came to.

    Members
    -------
    rate : items per second
    latency_us : of an item alone
    bounds : items per second that each part alone allows
    """

    rate: float
    latency_us: float
    bounds: dict[str, float]
    mismatches: int
    network_gb_s: float = 0.0
    waiting: int = 0

    def row(self, cards: int) -> Row:
        """The figures of `cards` cards; `limit` is the part with the least bound."""
        return {
            "cards": cards,
            "items_per_s": round(self.rate),
            "limit": min(self.bounds, key=lambda name: self.bounds[name]),
            **{f"{name}_bound_items_per_s": round(bound) for name, bound in self.bounds.items()},
            "network_gb_s": round(self.network_gb_s, 3),
            "idle_latency_us": round(self.latency_us, 3),
            "vectors_waiting": self.waiting,
            "mismatches": self.mismatches,
        }


def main(options: CardsBenchOptions) -> int:
    """Measure every number of cards and print the figures; 1 if a result is not the golden model's."""
    if options.address is not None and options.engine != "ray":
        raise InputError("address is of a Ray cluster: give --engine ray, too")
    console = Console(stderr=options.json, highlight=False)
    rows: list[Row] = []
    with steps(console) as progress:
        for cards in options.cards:
            rows.append(_one(options, progress) if cards == 1 else _several(options, cards, progress))
    _add_scaling(rows)
    if options.json:
        print(json.dumps({**_described(options), "rows": rows, "versions": versions()}))
    else:
        _show(options, rows, console)
    wrong = sum(int(str(row.get("mismatches", 0))) for row in rows)
    if wrong:
        print(f"{wrong} results are not the golden model's, seed {options.seed}", file=sys.stderr)
    return 1 if wrong else 0


def _described(options: CardsBenchOptions) -> Row:
    return {
        "model": options.model,
        "precision": options.precision,
        "board": options.board,
        "items": options.items,
        "traffic": options.traffic,
        "memory": options.memory,
        "network_gbps": options.network.gbps,
        "network_latency_us": options.network.latency_us,
        "seed": options.seed,
    }


def _one(options: CardsBenchOptions, progress: Steps) -> Row:
    """A card that holds the whole model: the ordinary engine; what is missing, if it does not fit."""
    try:
        bundle = compiler.compile(_model(options), board=options.board, precision=options.precision)
    except PlacementError as error:
        return {"cards": 1, "limit": "memory", "reason": str(error)}
    job = Job(bundle=bundle, traffic=options.traffic, seed=options.seed)
    sparse, dense = job.ids(options.items, salt=0), job.dense(options.items, salt=0)
    few, clock = slice(0, IDLE_ITEMS), bundle.config.engine_mhz * 1e6
    with open_device(bundle, progress, memory=options.memory) as device:
        batch = device.run(sparse, dense)
        idle = device.run(sparse[few], None if dense is None else dense[few], mode="idle")
    golden = bundle.golden().run(sparse, dense)
    return _Found(
        rate=clock / batch.cycles_per_item,
        latency_us=float(idle.latency.mean()) * 1e6 / clock,
        bounds={"arithmetic": clock / slowest_array(bundle.config)},
        mismatches=int(((golden.logits != batch.logits) | (golden.scores != batch.scores)).sum()),
    ).row(1)


def _several(options: CardsBenchOptions, cards: int, progress: Steps) -> Row:
    bundle = compile_cards(_model(options), cards=cards, board=options.board, precision=options.precision)
    sparse = make_ids(bundle.shape, items=options.items, traffic=options.traffic, seed=options.seed)
    dense = _dense(bundle.shape.dense, options)
    config, network = bundle.engine.config, options.network
    with CardsDevice(
        bundle,
        memory=options.memory,
        network=network,
        executor=RayExecutor(options.address) if options.engine == "ray" else LocalExecutor(),
        progress=lambda done, of, what: progress(f"{cards} cards, build: {what}", done, of),
    ) as device:
        batch = device.run(sparse, dense)
        idle = device.run(sparse[:IDLE_ITEMS], None if dense is None else dense[:IDLE_ITEMS], mode="idle")
        lookups = min(device.lookup_rates(sparse[:LOOKUP_ITEMS]))
    golden = bundle.golden().run(sparse, dense)
    return _Found(
        rate=batch.items_per_second,
        latency_us=float((idle.finished_ps - idle.sent_ps).mean()) / 1e6,
        bounds={
            "arithmetic": cards * config.engine_mhz * 1e6 / slowest_array(config),
            "lookups": lookups,
            "network": _network_bound(batch, network),
        },
        mismatches=int(((golden.logits != batch.logits) | (golden.scores != batch.scores)).sum()),
        network_gb_s=batch.items_per_second * float(batch.delivered.sent_bytes.sum()) / options.items / 1e9,
        waiting=batch.waiting,
    ).row(cards)


def _model(options: CardsBenchOptions) -> compiler.Model:
    """A named model with its seed; one that a file describes stays as it is."""
    given = ".py" in options.model or options.model.endswith(model_names.CHECKPOINT)
    return options.model if given else model_names.find(options.model, seed=options.seed)


def _dense(width: int, options: CardsBenchOptions) -> npt.NDArray[np.float32] | None:
    generator = np.random.default_rng([options.seed, 0])
    return generator.standard_normal((options.items, width), np.float32) if width else None


def _network_bound(batch: CardsBatch, network: Network) -> float:
    """Items per second at which the busiest line is full."""
    busiest = max(int(batch.delivered.sent_bytes.max()), int(batch.delivered.received_bytes.max()))
    return network.gbps * 1e9 / 8 * len(batch.scores) / busiest


def _add_scaling(rows: list[Row]) -> None:
    """How many times faster than one card each is, if one card was measured."""
    rates = [row["items_per_s"] for row in rows if row["cards"] == 1 and "items_per_s" in row]
    for row in rows:
        if rates and "items_per_s" in row:
            row["speed_up"] = round(float(str(row["items_per_s"])) / float(str(rates[0])), 3)


def _show(options: CardsBenchOptions, rows: list[Row], console: Console) -> None:
    title = f"{options.model}, {options.precision}, {options.board}, {options.network.gbps:g} Gb/s, seed {options.seed}"
    table = Table(title=title, box=None)
    table.title_justify = "left"
    columns = {
        "cards": "cards",
        "items/s": "items_per_s",
        "times one card": "speed_up",
        "limit": "limit",
        "arithmetic allows": "arithmetic_bound_items_per_s",
        "lookups allow": "lookups_bound_items_per_s",
        "network allows": "network_bound_items_per_s",
        "network, GB/s": "network_gb_s",
        "an item alone, us": "idle_latency_us",
        "mismatches": "mismatches",
    }
    for name in columns:
        table.add_column(name, justify="right")
    for row in rows:
        values = [row.get(key, "") for key in columns.values()]
        table.add_row(*[f"{value:,}" if isinstance(value, int) else str(value) for value in values])
    console.print(table)
    for row in rows:
        if "reason" in row:
            console.print(f"{row['cards']} card: {row['reason']}")

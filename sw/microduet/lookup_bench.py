"""`microduet bench lookup`: how long lookups last, and when they would limit the engine."""

import dataclasses
import json
import sys
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from microduet import boards, compiler, paper, zoo
from microduet.bundle import Bundle
from microduet.channel_load import channel_loads
from microduet.device import Device
from microduet.errors import InputError
from microduet.measure import compare
from microduet.memory_settings import CARD_REFRESH, Settings, dram_settings, usual_refresh
from microduet.planner.make import make
from microduet.presets import Tuning
from microduet.progress import Steps, steps
from microduet.shape import ModelShape, concatenated, perceptron
from microduet.traffic import make_ids
from microduet.versions import versions
from microduet_hw.config import EngineConfig, Precision
from microduet_sim.dram import Profile, RefreshMode

INTERVAL_US = 2.0
"""From item to item when lookups are timed one at a time."""
SATURATED_ITEMS = 256
DEEP_LOOKUPS = 128
DIMS = (4, 8, 16, 32, 64)
"""Elements of a row in the paper's Table 5."""
TRAFFIC = ("uniform", "zipf")
DEFAULT_MODELS = ("microrec-small", "microrec-large", "rmc2-8", "rmc2-12")


def _bare(name: str, *tables: tuple[int, int, int]) -> zoo.ZooModel:
    """Tables (rows, dim, lookups) and hardly any arithmetic: lookups are all that takes time."""
    features = concatenated(list(tables))
    layers = perceptron(sum(feature.dim for feature in features), (32, 1))
    return zoo.ZooModel(shape=ModelShape(name=name, features=features, hidden=layers[:-1], output=layers[-1]))


DEEP = {f"rows-{2 * dim}": _bare(f"rows-{2 * dim}", (1_000_000, dim, DEEP_LOOKUPS)) for dim in (32, 64)}
"""Random rows of so many bytes, in fixed16, of one table on one channel: what share of its bound a channel reaches."""

ITEMS = {
    name: _bare(name, *tables)
    for name, tables in (
        ("rm1-items", [(4_000_000, 32, 80)] * 2),
        ("rm2-items", [(500_000, 64, 120)] * 8),
        ("rm3-items", [(2_000_000, 32, 20)] * 3),
    )
}
"""The item's tables of RM1 to RM3, spread over all HBM channels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookupOptions:
    """Arguments of `microduet bench lookup`."""

    models: tuple[str, ...] = DEFAULT_MODELS
    dims: tuple[int, ...] = DIMS
    precision: str | None = None
    profile: Profile = "default"
    plan: str | None = None
    refresh: RefreshMode | None = None
    traffic: tuple[str, ...] = TRAFFIC
    items: int = 1000
    lookups: tuple[int, ...] = (1,)
    row_check: bool = False
    seed: int = 0
    json: bool = False


def main(options: LookupOptions) -> int:
    """Measure every case and print a row for each."""
    for name, value in (("items", options.items), *(("lookups", each) for each in options.lookups)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    console = Console(stderr=options.json, highlight=False)
    if not console.is_terminal:
        console.width = 120
    with steps(console) as progress:
        rows = [row for case in _cases(options) for row in measure(case, options, progress)]
    if options.json:
        print(json.dumps({"rows": rows, **_stated(options), "versions": versions()}))
    else:
        _show(rows, console)
    wrong = [row for row in rows if row["mismatches"]]
    for row in wrong:
        print(
            f"{row['model']}, {row['traffic']}: {row['mismatches']} scores differ from the golden model",
            file=sys.stderr,
        )
    return 1 if wrong else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One engine."""

    model: zoo.ZooModel
    dim: int | None
    precision: Precision
    lookups: int


def measure(case: Case, options: LookupOptions, progress: Steps) -> Iterator[dict[str, object]]:
    """A row per kind of traffic."""
    # What is wrong with the traffic is said before anything is built.
    batches = {
        traffic: make_ids(case.model.shape, items=options.items, traffic=traffic, seed=options.seed)
        for traffic in options.traffic
    }
    bundle = _compile(case, options)
    config = bundle.config
    settings = dram_settings(refresh=options.refresh, profile=options.profile, spread=config.spread > 0)
    what = f"{case.model.shape.name} {case.dim or ''}".strip()
    with Device(bundle, dram=settings, progress=lambda done, of, step: progress(f"build: {step}", done, of)) as device:
        for traffic, ids in batches.items():
            first = ids if config.spread else ids[:SATURATED_ITEMS]
            saturated = device.run(first)
            _, mismatches = compare(bundle, saturated, first, None)
            arrivals = np.arange(options.items) * round(INTERVAL_US * config.engine_mhz)
            batch = device.run(ids, mode=arrivals, progress=lambda done, _: progress(what, done, options.items))
            progress(what, options.items, options.items)
            if saturated.status.any() or batch.status.any():
                raise InputError(f"{what}: a lookup failed with status {int(batch.status.max())}")
            item_ns = saturated.cycles_per_item * 1000 / config.engine_mhz
            row = _row(case, options, traffic, batch.lookup_ns) | _throughput(bundle, first, settings, item_ns)
            if options.profile == "microrec":  # its readers serve one read at a time: latency is what they take
                row["lookup_bound_share"] = round(float(batch.lookup_ns.mean()) / item_ns, 4)
            yield row | _refreshed(config, options) | {"mismatches": mismatches}


def _row(case: Case, options: LookupOptions, traffic: str, lookup_ns: np.ndarray) -> dict[str, object]:
    p50, p99 = np.percentile(lookup_ns, [50, 99])
    return {
        "model": case.model.shape.name,
        "tables": len(case.model.shape.features),
        "dim": case.dim,
        "precision": str(case.precision),
        "lookups": case.lookups,
        "profile": options.profile,
        "traffic": traffic,
        "mean_ns": round(float(lookup_ns.mean()), 1),
        "p50_ns": round(float(p50), 1),
        "p99_ns": round(float(p99), 1),
        "paper_ns": paper.lookup_ns(case.model.shape.name, case.dim),
    }


def _refreshed(config: EngineConfig, options: LookupOptions) -> dict[str, object]:
    refresh = options.refresh or usual_refresh(spread=config.spread > 0)
    return {"refresh": refresh, "the_card": CARD_REFRESH[refresh]}


def _throughput(bundle: Bundle, ids: np.ndarray, settings: Settings, item_ns: float) -> dict[str, object]:
    config = bundle.config
    loads = channel_loads(config, bundle.table_ids(ids), settings)
    slowest = max(loads, key=lambda load: load.bound_ns)
    return {
        "cycles_per_item": round(item_ns * config.engine_mhz / 1000, 3),
        "memory_cycles_per_item": round(item_ns * config.memory_mhz / 1000, 2),
        "items_per_s": round(1e9 / item_ns),
        "lookup_bound_share": round(slowest.bound_ns / item_ns, 4),
        "channels": len(loads),
        "reads_per_item": round(sum(load.reads for load in loads), 2),
        "gigabytes_per_s": round(sum(load.bytes for load in loads) / item_ns, 3),
        "peak_gigabytes_per_s": round(sum(load.peak_gigabytes_per_s for load in loads), 1),
        "engine": config.name,
        "clock_mhz": config.engine_mhz,
        "memory_clock_mhz": config.memory_mhz,
    }


def _cases(options: LookupOptions) -> Iterator[Case]:
    for name in options.models:
        rmc2 = name.startswith("rmc2")
        narrow = rmc2 or options.profile == "microrec"  # the paper times lookups of elements of 32 bits
        precision = _precision(options.precision or ("fixed32" if narrow else "fixed16"))
        for dim in options.dims if rmc2 else (None,):
            model = (DEEP | ITEMS).get(name) or zoo.find(name, seed=options.seed, dim=dim or DIMS[0])
            for lookups in options.lookups:
                yield Case(model=_repeated(model, lookups, precision), dim=dim, precision=precision, lookups=lookups)


def _precision(name: str) -> Precision:
    if name not in set(Precision):
        raise InputError(f"precision must be {', '.join(Precision)}, not {name!r}")
    return Precision(name)


def _repeated(model: zoo.ZooModel, lookups: int, precision: Precision) -> zoo.ZooModel:
    """The model with every lookup in DRAM made so many times, and summed, as in the paper's Figure 7."""
    if lookups == 1:
        return model
    board = boards.find("u280")
    plan = make(model.shape, precision=precision, board=board).plan
    there = {part.feature for source in plan.sources if source.kind != "onchip" for part in source.parts}
    features = tuple(
        feature.replace(lookups=lookups * feature.lookups) if number in there else feature
        for number, feature in enumerate(model.shape.features)
    )
    shape: ModelShape = model.shape.replace(name=f"{model.shape.name}x{lookups}", features=features)
    return model.replace(shape=shape)


def _compile(case: Case, options: LookupOptions) -> Bundle:
    board, shape = "u280", case.model.shape
    usual = "paper-built" if options.profile == "microrec" else "best"
    usual = "rule" if shape.name in DEEP else "spread" if shape.name in ITEMS else usual
    mode = options.plan or usual
    plan = make(shape, precision=case.precision, board=boards.find(board), mode=mode).plan
    tuning = Tuning(row_check=options.row_check)
    return compiler.compile(case.model, board=board, precision=case.precision, tuning=tuning, plan=plan)


def _stated(options: LookupOptions) -> dict[str, object]:
    return {
        "profile": options.profile,
        "interval_us": INTERVAL_US,
        "switch": "off",
        "items": options.items,
        "row_check": options.row_check,
        "seed": options.seed,
    }


def _show(rows: list[dict[str, object]], console: Console) -> None:
    table = Table(box=None)
    columns = {"model": "model", "dim": "dim", "traffic": "traffic", "mean": "mean_ns", "p50": "p50_ns"}
    columns |= {
        "p99, ns": "p99_ns",
        "paper": "paper_ns",
        "items/s": "items_per_s",
        "cycles": "memory_cycles_per_item",
        "bound": "lookup_bound_share",
    }
    columns |= {"GB/s": "gigabytes_per_s", "of": "peak_gigabytes_per_s"}
    for title in columns:
        table.add_column(title, justify="left" if title in ("model", "traffic") else "right")
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in columns.values()))
    console.print(table)

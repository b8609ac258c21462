"""What the benches might print: made up, in the benches' form, for findings and pages to be made of."""

import itertools

from microduet.report import duet, microrec
from microduet.report.findings import Command, Json

CPU = "a processor with <angles> & signs"


def engine(precision: str) -> Json:
    cycles = {"fixed16": 223.0, "fixed32": 446.0}[precision]
    costs = {"dsp": 4626, "bram36": 1024, "uram": 0, "multipliers": 4608}
    return {"clock_mhz": 120, "cycles_per_item": cycles, "idle_latency_cycles": 276.6, **costs}


def processor(size: str) -> Json:
    rows = [
        {"batch": n, "ms": 0.1 + n / 100, "lookup_ms": 0.05 + n / 300, "items_per_s": 1e4, "variant": "float32 tables"}
        for n in (1, 64, 256, 512, 1024, 2048)
    ]
    whole = {"small": 1_414_678_400, "large": 15_107_411_200}[size]
    return {"cpu": CPU, "cores": 2, "table_bytes": whole, "whole_table_bytes": whole, "rows": rows}


def lookups(command: Command) -> Json:
    models = [word for flag, word in itertools.pairwise(command) if flag == "--model"]
    rounds = [int(word) for flag, word in itertools.pairwise(command) if flag == "--lookups"] or [1]
    factor = 3.0 if "microrec" in command else 1.0
    return {
        "rows": [
            {"model": model, "dim": dim, "lookups": r, "mean_ns": 150.0 * factor, "p50_ns": 140.0,
             "cycles_per_item": 223.0 if r < 100 else 300.0}
            for model in models for r in rounds for dim in ((4, 8, 16, 32, 64) if "rmc2" in model else (None,))
        ]
    }  # fmt: skip


def plan(size: str, products: str) -> Json:
    numbers = {
        ("small", "without"): (47, 39, 2, 0.0),
        ("small", "with"): (42, 34, 1, 3.2),
        ("large", "without"): (98, 82, 3, 0.0),
        ("large", "with"): (84, 68, 2, 1.9),
    }[size, products]
    return dict(zip(("physical_tables", "dram_tables", "rounds", "overhead_percent"), numbers, strict=True))


def query(name: str, n: int) -> Json:
    milli = {f"{system}_ms": ms * n / 1024 for system, ms in zip("abc", (10.0, 2.0, 0.1), strict=True)}
    energy = {f"{system}_mj": mj for system, mj in zip("abc", (100.0, 20.0, 4.0), strict=True)}
    return {
        "model": name, "n": n, **milli, **energy, "a_per_s": 100.0, "b_per_s": 400.0, "c_per_s": 9000.0,
        "a_over_b": 5.0, "a_over_c": 100.0, "b_over_c": 20.0, "throughput_a_over_c": 90.0, "energy_a_over_c": 25.0,
        "energy_a_over_c_worst": 5.0, "energy_loaded_a_over_c": 25.0, "energy_loaded_a_over_c_worst": 6.0,
        "a_parts_ms": {"embedding": 6.0, "bottom": 3.0, "top": 1.0}, "b_items_ms": 1.5, "b_combined_ms": 0.4,
        "edge_us": 1.0, "link_us": 21.0, "wait_us": 30.0,
        "b_mj_places": {"edge": 1.0, "link": 2.0, "datacentre": 17.0},
    }  # fmt: skip


def table_1() -> Json:
    figures = {kind: {"accuracy": {"mean": mean}} for kind, mean in (("base", 0.8), ("split", 0.79), ("int8", 0.79))}
    return {"ours": {name: {"figures": figures} for name in ("rm1", "rm2", "rm3", "rm5")}}


def splits() -> Json:
    lookups_before = dict(zip(duet.RM, (640, 3840, 200, 200, 401), strict=True))
    return {
        "rows": [
            {"model": name, "split": "duet", "lookups_before": lookups_before[name], "lookups_after": 60,
             "macs_before": 100_416, "macs_after": 5_184, "payload_bytes": 48}
            for name in duet.RM
        ]
    }  # fmt: skip


def edge() -> Json:
    scratchpads = dict(zip(duet.RM, (61_440, 737_280, 17_920, 17_920, 28_872), strict=True))
    return {
        "rows": [
            {"model": name, "weights": "sram", "scratchpad_bytes": size, "scratchpad_mm2": 0.02}
            for name, size in scratchpads.items()
        ]
    }


def near_memory() -> Json:
    return {
        "rows": [
            {"model": name, "part": part, "mode": mode, "query_ms": 12.0 if part == "whole" else 3.0}
            for name in duet.BROKEN_DOWN
            for part in ("whole", "duet")
            for mode in ("plain", "recnmp", "trim")
        ]
    }


def outputs() -> dict[Command, Json]:
    """Of every command of the report."""
    queries = {"cpu": CPU, "cores": 2}
    return {
        **{command: engine(precision) for (_, precision), command in microrec.ENGINE.items()},
        **{command: processor(size) for size, command in microrec.CPU.items()},
        **{command: plan(*key) for key, command in microrec.PLAN.items()},
        **{
            command: lookups(command)
            for command in (*microrec.READER.values(), microrec.LOOKUP, microrec.RMC2, microrec.RMC2_READER)
        },
        **{command: lookups(command) for command in microrec.REPEATED.values()},
        duet.TABLE_1: table_1(),
        duet.SPLITS: splits(),
        duet.EDGE: edge(),
        duet.NEAR_MEMORY: near_memory(),
        duet.QUERY: queries | {"rows": [query(name, 1024) for name in duet.RM]},
        duet.QUERIES: queries | {"rows": [query(name, n) for name in duet.BROKEN_DOWN for n in duet.SIZES]},
    }

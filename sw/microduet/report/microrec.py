"""MicroRec's tables and figures (Jiang et al., MLSys 2021), from the benches' results."""

from collections.abc import Mapping

from microduet.report.findings import Cell, Command, Finding, Item, Json, Plot, Table, beside, judged, reason

Results = Mapping[Command, Json]

SIZES = ("small", "large")
PRECISIONS = ("fixed16", "fixed32")
COLUMNS = tuple((size, precision) for size in SIZES for precision in PRECISIONS)

ENGINE = {(s, p): ("bench", "engine", "--model", f"microrec-{s}", "--precision", p) for s, p in COLUMNS}
CPU = {size: ("bench", "cpu", "--model", f"microrec-{size}") for size in SIZES}
BOTH = ("--model", "microrec-small", "--model", "microrec-large")
LOOKUP = ("bench", "lookup", *BOTH, "--traffic", "uniform")
MODES = {"without": "paper-hbm", "with": "paper-built"}
PLAN = {
    (size, products): ("plan", f"microrec-{size}", "--mode", mode, "--precision", "fixed32")
    for size in SIZES
    for products, mode in MODES.items()
}
READER = {
    products: ("bench", "lookup", *BOTH, "--profile", "microrec", "--plan", mode, "--traffic", "uniform")
    for products, mode in MODES.items()
}
RMC2 = ("bench", "lookup", "--model", "rmc2-8", "--model", "rmc2-12", "--traffic", "uniform")
RMC2_READER = (*RMC2, "--profile", "microrec", "--plan", "paper-built")
ROUNDS = {"small": (1, 6, 40, 540), "large": (1, 4, 25, 91)}
REPEATED = {
    size: (
        *("bench", "lookup", "--model", f"microrec-{size}", "--items", "32", "--traffic", "uniform"),
        *(word for r in ROUNDS[size] for word in ("--lookups", str(r))),
    )
    for size in SIZES
}


def _rows(result: Json, **wanted: object) -> list[Json]:
    return [row for row in result["rows"] if all(row[name] == value for name, value in wanted.items())]


def _table_1(paper: Json, results: Results) -> Finding:
    rows: list[tuple[str | int | float, ...]] = []
    same = True
    for size in SIZES:
        plan, cpu, theirs = results[PLAN[size, "without"]], results[CPU[size]], paper[size]
        gib, gb = cpu["whole_table_bytes"] / 2**30, cpu["whole_table_bytes"] / 1e9
        tables = plan["physical_tables"]
        rows.append((size, theirs["tables"], tables, theirs["gigabytes"], round(gb, 2), round(gib, 2)))
        same &= tables == theirs["tables"] and min(abs(gib - theirs["gigabytes"]), abs(gb - theirs["gigabytes"])) < 0.05
    table = Table(
        title="The production models",
        header=("model", "tables: paper", "ours", "size: paper, GB", "ours, 10^9 bytes", "ours, 2^30 bytes"),
        rows=tuple(rows),
    )
    why = reason("microrec-table-1")
    return Finding(verdict="reproduced" if same else "contradicted", why=why, tables=(table,))


def _table_2(paper: Json, results: Results) -> Finding:
    rows: list[tuple[str | float | None, ...]] = []
    factors: list[float] = []
    for size, precision in COLUMNS:
        theirs, ours = paper[f"{size}_{precision}"], results[ENGINE[size, precision]]
        per_s = ours["clock_mhz"] * 1e6 / ours["cycles_per_item"]
        latency = ours["idle_latency_cycles"] / ours["clock_mhz"]
        mhz = {"small_fixed32": 140, "large_fixed32": 135}.get(f"{size}_{precision}", 120)
        cycles = mhz * 1e6 / theirs["items_per_s"]
        factors += [cycles / ours["cycles_per_item"], theirs["latency_us"] * mhz / ours["idle_latency_cycles"]]
        rows.append(
            (size, precision, theirs["items_per_s"], round(per_s), round(cycles, 1), ours["cycles_per_item"],
             theirs["latency_us"], round(latency, 2))
        )  # fmt: skip
    engines = Table(
        title="Engines",
        header=(
            "model",
            "precision",
            "items/s: paper",
            "ours",
            "cycles per item: paper",
            "ours",
            "latency, us: paper",
            "ours",
        ),
        rows=tuple(rows),
    )
    verdict, said = judged(factors, what="cycles per item and cycles of an item alone")
    why = reason("microrec-table-2", said=said)
    return Finding(verdict=verdict, why=why, tables=(engines, *(_cpu_table(paper, results, size) for size in SIZES)),
                   plots=(_engines_plot(paper, results),))  # fmt: skip


def _cpu_table(paper: Json, results: Results, size: str) -> Table:
    result = results[CPU[size]]
    ours = {row["batch"]: row for row in result["rows"]}
    kept = result["table_bytes"] / result["whole_table_bytes"]
    return Table(
        title=f"Processor, {size} model: {result['cpu']}, {result['cores']} cores, {kept:.0%} of the tables' bytes",
        header=("batch", "ms: paper, 16 vCPU", "ours", "items/s: ours", "what won"),
        rows=tuple(
            (batch, theirs, round(ours[batch]["ms"], 3), round(ours[batch]["items_per_s"]), ours[batch]["variant"])
            for batch, theirs in zip(paper["batches"], paper[f"{size}_cpu_ms"], strict=True)
            if batch in ours
        ),
    )


def _engines_plot(paper: Json, results: Results) -> Plot:
    def cycles(size: str, precision: str) -> float:
        mhz = {"small_fixed32": 140, "large_fixed32": 135}.get(f"{size}_{precision}", 120)
        return mhz * 1e6 / paper[f"{size}_{precision}"]["items_per_s"]

    return Plot(
        title="Engine cycles per item",
        unit="cycles",
        kind="bars",
        x=tuple(f"{size}, {precision}" for size, precision in COLUMNS),
        series={
            "paper": tuple(round(cycles(*column), 1) for column in COLUMNS),
            "ours": tuple(results[ENGINE[column]]["cycles_per_item"] for column in COLUMNS),
        },
    )


def _table_3(paper: Json, results: Results) -> Finding:
    rows: list[tuple[Cell, ...]] = []
    same = True
    for size in SIZES:
        ns = {products: _rows(results[READER[products]], model=f"microrec-{size}")[0]["mean_ns"] for products in MODES}
        for products in MODES:
            plan, theirs = results[PLAN[size, products]], paper[f"{size}_{products}"]
            storage, latency = 100 + plan["overhead_percent"], 100 * ns[products] / ns["without"]
            ours = (plan["physical_tables"], plan["dram_tables"], plan["rounds"])
            same &= ours == (theirs["tables"], theirs["dram"], theirs["rounds"])
            same &= abs(latency - theirs["latency_percent"]) < 10 and abs(storage - theirs["storage_percent"]) < 0.1
            rows.append(
                (f"{size}, {products} products", *beside((theirs["tables"], theirs["dram"], theirs["rounds"]), ours),
                 theirs["storage_percent"], round(storage, 1), theirs["latency_percent"], round(latency, 1))
            )  # fmt: skip
    table = Table(
        title="Cartesian products, with the paper's reader (32 bits wide, one read under way)",
        header=("", "tables: paper", "ours", "in DRAM: paper", "ours", "rounds: paper", "ours", "storage, %: paper",
                "ours", "latency, %: paper", "ours"),
        rows=tuple(rows),
    )  # fmt: skip
    why = reason("microrec-table-3")
    return Finding(verdict="reproduced" if same else "contradicted", why=why, tables=(table,))


def _table_4(paper: Json, results: Results) -> Finding:
    rows: list[tuple[str | float | None, ...]] = []
    factors: list[float] = []
    for size in SIZES:
        (row,) = _rows(results[LOOKUP], model=f"microrec-{size}")
        cpu = {one["batch"]: one for one in results[CPU[size]]["rows"]}
        theirs, text = paper[f"{size}_ns"], paper.get(f"{size}_text_ns", {})
        factors.append(theirs["products"] / row["mean_ns"])
        largest = paper["batches"][-1]
        rows.append(
            (size, theirs["hbm"], theirs["products"], text.get("products"), row["mean_ns"], row["p50_ns"],
             paper[f"{size}_cpu_ms"][-1], round(cpu[largest]["lookup_ms"], 2) if largest in cpu else None)
        )  # fmt: skip
    table = Table(
        title="The embedding layer",
        header=("model", "paper: HBM, ns", "with products, ns", "its text says, ns", "ours: mean, ns", "p50, ns",
                "processor, batch 2048, ms: paper", "ours"),
        rows=tuple(rows),
    )  # fmt: skip
    verdict, said = judged(factors, what="the mean lookup's latency")
    why = reason("microrec-table-4", said=said)
    return Finding(verdict=verdict, why=why, tables=(table,))


def _table_5(paper: Json, results: Results) -> Finding:
    rows: list[tuple[str | float, ...]] = []
    factors: list[float] = []
    series: dict[str, tuple[float | None, ...]] = {}
    for tables in (8, 12):
        theirs = paper[f"tables_{tables}_ns"]
        ours, reader = (
            [_rows(results[command], model=f"rmc2-{tables}", dim=dim)[0] for dim in paper["elements"]]
            for command in (RMC2, RMC2_READER)
        )
        factors += [a / b["mean_ns"] for a, b in zip(theirs, ours, strict=True)]
        series[f"paper, {tables} tables"] = tuple(theirs)
        series[f"ours, {tables} tables"] = tuple(row["mean_ns"] for row in ours)
        rows += [
            (tables, dim, a, round(c["mean_ns"], 1), round(b["mean_ns"], 1))
            for dim, a, b, c in zip(paper["elements"], theirs, ours, reader, strict=True)
        ]
    table = Table(
        title="Lookups of 8 and 12 tables, four each",
        header=("tables", "elements", "paper, ns", "the paper's reader, ns", "ours, ns"),
        rows=tuple(rows),
    )
    plot = Plot(
        title="Lookup latency by row", unit="ns", kind="lines", x=tuple(map(str, paper["elements"])), series=series
    )
    verdict, said = judged(factors, what="mean latency")
    why = reason("microrec-table-5", said=said)
    return Finding(verdict=verdict, why=why, tables=(table,), plots=(plot,))


def _table_6(paper: Json, results: Results) -> Finding:
    rows: list[tuple[str | float | None, ...]] = []
    for size, precision in COLUMNS:
        theirs, ours = paper[f"{size}_{precision}"], results[ENGINE[size, precision]]
        rows.append((size, precision, theirs["dsp"], ours["dsp"], theirs["bram18"], 2 * ours["bram36"],
                     theirs["uram"], ours["uram"], theirs["ff"], theirs["lut"]))  # fmt: skip
    table = Table(
        title="Resources, counted from the configuration, not synthesised: multipliers and weights' memories",
        header=("model", "precision", "DSP: paper", "ours", "BRAM18: paper, all", "ours, weights", "URAM: paper, all",
                "ours, weights", "FF: paper", "LUT: paper"),
        rows=tuple(rows),
    )  # fmt: skip
    why = reason("microrec-table-6")
    return Finding(verdict="impossible", why=why, tables=(table,))


def _figure_3(paper: Json, results: Results) -> Finding:
    shares: dict[str, tuple[float | None, ...]] = {}
    for size in SIZES:
        ours = {row["batch"]: row for row in results[CPU[size]]["rows"]}
        batches = paper["batches"]
        theirs = [100 * a / b for a, b in zip(paper[f"{size}_lookup_ms"], paper[f"{size}_ms"], strict=True)]
        mine = [100 * ours[n]["lookup_ms"] / ours[n]["ms"] if n in ours else None for n in batches]
        shares |= {
            f"paper, {size}": tuple(round(x, 1) for x in theirs),
            f"ours, {size}": tuple(None if x is None else round(x, 1) for x in mine),
        }
    x = tuple(map(str, paper["batches"]))
    rows = tuple((batch, *(values[k] for values in shares.values())) for k, batch in enumerate(x))
    title = "The embedding layer's share of an inference on the processor"
    table = Table(title=f"{title}, %", header=("batch", *shares), rows=rows)
    plot = Plot(title=title, unit="%", kind="lines", x=x, series=shares)
    theirs, ours = (_average(shares, system) for system in ("paper", "ours"))
    return Finding(
        verdict="reproduced" if abs(ours - theirs) < 10 else "contradicted",
        why=reason("microrec-figure-3", theirs=theirs, ours=ours),
        tables=(table,),
        plots=(plot,),
    )


def _average(series: dict[str, tuple[float | None, ...]], system: str) -> float:
    found = [
        value for name, values in series.items() if name.startswith(system) for value in values if value is not None
    ]
    return sum(found) / len(found)


def _figure_7(paper: Json, results: Results) -> Finding:
    rows: list[tuple[str | float, ...]] = []
    factors: list[float] = []
    for size in SIZES:
        found = sorted(results[REPEATED[size]]["rows"], key=lambda row: row["lookups"])
        once = found[0]["cycles_per_item"]
        held = max(row["lookups"] for row in found if row["cycles_per_item"] <= 1.01 * once)
        factors.append(held / paper[size])
        rows += [(size, row["lookups"], row["cycles_per_item"], paper[size]) for row in found]
    table = Table(
        title="Every lookup in DRAM made r times",
        header=("model", "r", "cycles per item", "paper: flat up to r ="),
        rows=tuple(rows),
    )
    verdict, said = judged(factors, what="rounds of lookups that cost no throughput, of those tried")
    return Finding(verdict=verdict, why=reason("microrec-figure-7", said=said), tables=(table,))


def _cost(paper: Json, results: Results) -> Finding:
    rows: list[tuple[str | float, ...]] = []
    factors: list[float] = []

    def dollars(per_hour: float, per_s: float) -> float:
        return per_hour / 3600 / per_s * 1e6

    for size in SIZES:
        ours = results[ENGINE[size, "fixed32"]]
        per_s = ours["clock_mhz"] * 1e6 / ours["cycles_per_item"]
        cpu = dollars(paper["cpu_dollars_per_hour"], paper[f"{size}_cpu_items_per_s"])
        theirs = dollars(paper["fpga_dollars_per_hour"], paper[f"{size}_fixed32_items_per_s"])
        mine = dollars(paper["fpga_dollars_per_hour"], per_s)
        fast = results[ENGINE[size, "fixed16"]]
        fixed16 = dollars(paper["fpga_dollars_per_hour"], fast["clock_mhz"] * 1e6 / fast["cycles_per_item"])
        factors.append(theirs / mine)
        rows.append((size, *(round(value, 5) for value in (cpu, theirs, mine, fixed16))))
    table = Table(
        title="Dollars per million items, at the paper's prices per hour",
        header=("model", "processor, paper", "FPGA, paper, fixed32", "ours, fixed32", "ours, fixed16"),
        rows=tuple(rows),
    )
    verdict, said = judged(factors, what="cost of a million items in fixed32")
    return Finding(verdict=verdict, why=reason("microrec-cost", said=said), tables=(table,))


def items() -> tuple[Item, ...]:
    """All of them, in the paper's order."""
    engines, cpus, plans = tuple(ENGINE.values()), tuple(CPU.values()), tuple(PLAN.values())
    return (
        Item(name="microrec-table-1", commands=(*plans, *cpus), find=_table_1),
        Item(name="microrec-table-2", commands=(*engines, *cpus), find=_table_2),
        Item(name="microrec-table-3", commands=(*plans, *READER.values()), find=_table_3),
        Item(name="microrec-table-4", commands=(LOOKUP, *cpus), find=_table_4),
        Item(name="microrec-table-5", commands=(RMC2, RMC2_READER), find=_table_5),
        Item(name="microrec-table-6", commands=engines, find=_table_6),
        Item(name="microrec-figure-3", commands=cpus, find=_figure_3),
        Item(name="microrec-figure-7", commands=tuple(REPEATED.values()), find=_figure_7),
        Item(name="microrec-cost", commands=engines, find=_cost),
    )

"""Duet's tables and figures (Goyal et al., DAC 2024), from the benches' results."""

import math
from collections.abc import Iterable, Mapping

from microduet.report.findings import Cell, Command, Finding, Item, Json, Plot, Table, beside, judged, reason

Results = Mapping[Command, Json]

RM = ("rm1", "rm2", "rm3", "rm4", "rm5")
SYSTEMS = {"a": "whole model, processor", "b": "split, processor", "c": "edge unit, link, engine"}
BROKEN_DOWN = ("rm2", "rm3", "rm4")
SIZES = (8, 16, 32, 128, 512)
"""Of queries, beside 1,024."""

TABLE_1 = ("report", "table1")
SPLITS = ("models", "--split", "duet")
EDGE = ("bench", "edge")
QUERY = ("bench", "query", "--precisions", "int8")
QUERIES = (
    *("bench", "query", "--no-compiled", "--precisions", "int8"),
    *(word for name in BROKEN_DOWN for word in ("--models", name)),
    *(word for n in SIZES for word in ("--n", str(n))),
)
NEAR_MEMORY = ("bench", "nmp")


def _mean(values: Iterable[float]) -> float:
    """Geometric."""
    found = list(values)
    return math.exp(sum(map(math.log, found)) / len(found))


def _by_model(result: Json, n: int = 1024) -> dict[str, Json]:
    return {row["model"]: row for row in result["rows"] if row.get("n", n) == n}


def _table_1(paper: Json, results: Results) -> Finding:
    rows: list[tuple[Cell, ...]] = []
    lost: list[float] = []
    for model, own in results[TABLE_1]["ours"].items():
        ours = [100 * own["figures"][kind]["accuracy"]["mean"] for kind in ("base", "split", "int8")]
        theirs = paper[model]
        lost.append(ours[0] - ours[2])
        rows.append(
            (model.upper(), *(x for pair in zip(theirs, (round(v, 2) for v in ours), strict=True) for x in pair))
        )
    table = Table(
        title="Accuracy, %",
        header=("model", "base: paper", "ours", "split: paper", "ours", "split and int8: paper", "ours"),
        rows=tuple(rows),
    )
    why = reason("duet-table-1", lost=max(lost))
    return Finding(verdict="contradicted", why=why, tables=(table,))


def _table_2(paper: Json, results: Results) -> Finding:
    ours = {row["model"]: row for row in results[SPLITS]["rows"] if row["split"] == "duet"}
    rows = tuple(
        (name.upper(), paper[name]["lookups"], ours[name]["lookups_before"], ours[name]["lookups_after"],
         ours[name]["macs_before"], ours[name]["macs_after"], ours[name]["payload_bytes"])
        for name in RM
    )  # fmt: skip
    same = all(ours[name]["lookups_before"] == paper[name]["lookups"] for name in RM)
    table = Table(
        title="The models and their splits",
        header=(
            "model",
            "lookups: paper",
            "ours",
            "per candidate when split",
            "products",
            "when split",
            "payload, bytes",
        ),
        rows=rows,
    )
    why = reason("duet-table-2")
    return Finding(verdict="reproduced" if same else "contradicted", why=why, tables=(table,))


def _table_3(paper: Json, results: Results) -> Finding:
    query = results[QUERY]
    table = Table(
        title="Platforms",
        header=("", "paper", "ours"),
        rows=(
            ("datacentre", paper["server"], f"{query['cpu']}, {query['cores']} cores; engine in simulation, 120 MHz"),
            ("device", paper["phone"], "edge unit in simulation, 1 GHz"),
        ),
    )
    why = reason("duet-table-3")
    return Finding(verdict="impossible", why=why, tables=(table,))


def _table_4(paper: Json, results: Results) -> Finding:
    ours = {row["model"]: row for row in results[EDGE]["rows"] if row["weights"] == "sram"}
    rows = tuple(
        (name.upper(), paper["kilobytes"][name], round(ours[name]["scratchpad_bytes"] / 1024, 2),
         paper["mm2"][name], ours[name]["scratchpad_mm2"])
        for name in RM
    )  # fmt: skip
    same = all(abs(ours[name]["scratchpad_bytes"] / 1024 - paper["kilobytes"][name]) < 0.05 for name in RM)
    table = Table(
        title="The user's scratchpad",
        header=("model", "KB: paper", "ours", "mm2: paper", "ours, by the paper's density"),
        rows=rows,
    )
    why = reason("duet-table-4")
    return Finding(verdict="reproduced" if same else "contradicted", why=why, tables=(table,))


def _figure_2(paper: Json, results: Results) -> Finding:
    query = _by_model(results[QUERY])
    rows: list[tuple[str | float, ...]] = []
    dominated: list[bool] = []
    for name in BROKEN_DOWN:
        parts = query[name]["a_parts_ms"]
        shares = {part: round(100 * ms / sum(parts.values()), 1) for part, ms in parts.items()}
        theirs = {part: paper[name][part] for part in ("embedding", "bottom", "top")}
        dominated.append(max(shares, key=lambda part: shares[part]) == max(theirs, key=lambda part: theirs[part]))
        rows.append((name.upper(), *(x for part in theirs for x in (theirs[part], shares[part]))))
    table = Table(
        title="Shares of the whole model's time on the processor, %",
        header=("model", "embedding: paper", "ours", "bottom MLP: paper", "ours", "top MLP: paper", "ours"),
        rows=tuple(rows),
    )
    plot = Plot(
        title="The embeddings' share of the whole model's time",
        unit="%",
        kind="bars",
        x=tuple(name.upper() for name in BROKEN_DOWN),
        series={"paper": tuple(float(row[1]) for row in rows), "ours": tuple(float(row[2]) for row in rows)},
    )
    verdict, why = ("reproduced", "same") if all(dominated) else ("contradicted", "other")
    return Finding(verdict=verdict, why=reason(f"duet-figure-2-{why}"), tables=(table,), plots=(plot,))


def _figure_9(paper: Json, results: Results) -> Finding:
    query = _by_model(results[QUERY])
    rows = tuple(
        (name.upper(), *(round(query[name][f"{system}_ms"], 4) for system in "abc"),
         *(round(query[name][ratio], 1) for ratio in ("a_over_b", "a_over_c")))
        for name in query
    )  # fmt: skip
    mean, all_three = _mean(query[name]["a_over_b"] for name in query), _mean(query[name]["a_over_c"] for name in query)
    table = Table(
        title="A query of 1,024 candidates, ms from context to the ten best",
        header=("model", *(f"({system}) {name}" for system, name in SYSTEMS.items()), "(a)/(b)", "(a)/(c)"),
        rows=rows,
    )
    verdict, _ = judged([all_three / paper["ratio"]], what="")
    why = reason("duet-figure-9", split=mean, engine=all_three, paper=paper["ratio"], cpu=results[QUERY]["cpu"])
    plot = _systems_plot(query, title="Latency of a query of 1,024 candidates", unit="ms")
    return Finding(verdict=verdict, why=why, tables=(table,), plots=(plot,))


def _systems_plot(query: dict[str, Json], *, title: str, unit: str) -> Plot:
    return Plot(
        title=title,
        unit="mJ" if unit == "mj" else unit,
        kind="bars",
        log=True,
        x=tuple(name.upper() for name in query),
        series={name: tuple(row[f"{system}_{unit}"] for row in query.values()) for system, name in SYSTEMS.items()},
    )


def _figure_10(paper: Json, results: Results) -> Finding:
    query = _by_model(results[QUERY])
    rows = tuple(
        (name.upper(), round(query[name]["b_items_ms"] * 1000, 1), round(query[name]["b_combined_ms"] * 1000, 1),
         *(round(query[name][f"{part}_us"], 1) for part in ("edge", "link", "wait")),
         *(round(query[name]["link_us"] / query[name][f"{system}_ms"] / 10, 1) for system in "bc"))
        for name in BROKEN_DOWN
    )  # fmt: skip
    table = Table(
        title="Where a query's time goes, us",
        header=("model", "(b) items", "(b) combined layers", "edge unit", "link", "(c) engine behind the link",
                "link's share of (b), %", "of (c), %"),
        rows=rows,
    )  # fmt: skip
    why = reason("duet-figure-10", paper=paper["transfer_percent"])
    return Finding(verdict="contradicted", why=why, tables=(table,))


def _figure_11(paper: Json, results: Results) -> Finding:
    query = _by_model(results[QUERY])
    rows: list[tuple[str | float | None, ...]] = []
    for name, row in query.items():
        places = row["b_mj_places"]
        rows.append(
            (name.upper(), *(round(row[f"{system}_mj"], 2) for system in "abc"), paper["ratios"].get(name),
             round(row["a_mj"] / row["b_mj"], 1),
             *(round(row[ratio], 1) for ratio in ("energy_a_over_c", "energy_a_over_c_worst")),
             paper["datacentre_percent"].get(name), round(100 * places["datacentre"] / sum(places.values())))
        )  # fmt: skip
    split = _mean(row["a_mj"] / row["b_mj"] for row in query.values())
    engine = _mean(row["energy_a_over_c"] for row in query.values())
    worst = _mean(row["energy_a_over_c_worst"] for row in query.values())
    loaded = _mean(row["energy_loaded_a_over_c_worst"] for row in query.values())
    table = Table(
        title="Energy of a query of 1,024 candidates: counts of events times published constants",
        header=("model", "(a) mJ", "(b) mJ", "(c) mJ", "paper: base / Duet", "ours: (a)/(b)", "(a)/(c)", "worst case",
                "datacentre's share of Duet's energy, %: paper", "ours, (b)"),
        rows=tuple(rows),
    )  # fmt: skip
    verdict, _ = judged([engine / paper["ratio"]], what="")
    why = reason("duet-figure-11", split=split, engine=engine, worst=worst, loaded=loaded, paper=paper["ratio"])
    plot = _systems_plot(query, title="Energy of a query of 1,024 candidates", unit="mj")
    return Finding(verdict=verdict, why=why, tables=(table,), plots=(plot,))


def _figure_12(paper: Json, results: Results) -> Finding:
    found: dict[tuple[str, int], Json] = {
        (row["model"], row["n"]): row for command in (QUERIES, QUERY) for row in results[command]["rows"]
    }
    sizes = (*SIZES, 1024)
    split = {name: [found[name, n]["b_per_s"] / found[name, n]["a_per_s"] for n in sizes] for name in BROKEN_DOWN}
    engine = {name: [found[name, n]["throughput_a_over_c"] for n in sizes] for name in BROKEN_DOWN}
    ratios = {f"engine, {name.upper()}": tuple(engine[name]) for name in BROKEN_DOWN}
    ratios |= {f"split, {name.upper()}": tuple(split[name]) for name in BROKEN_DOWN}
    title = "Queries per second over those of the whole model on the processor"
    table = Table(
        title=title,
        header=("candidates", *ratios),
        rows=tuple((n, *(round(values[k], 2) for values in ratios.values())) for k, n in enumerate(sizes)),
    )
    plot = Plot(title=title, unit="times", kind="lines", log=True, x=tuple(map(str, sizes)), series=dict(ratios))
    of_split, of_engine = (_mean(x for values in kind.values() for x in values) for kind in (split, engine))
    least = min(min(values) for values in engine.values())
    verdict, _ = judged([of_engine / paper["ratio"]], what="")
    why = reason("duet-figure-12", split=of_split, engine=of_engine, least=least, paper=paper["ratio"])
    return Finding(verdict=verdict, why=why, tables=(table,), plots=(plot,))


def _figure_13(paper: Json, results: Results) -> Finding:
    ours = {(row["model"], row["part"], row["mode"]): row["query_ms"] for row in results[NEAR_MEMORY]["rows"]}
    rows: list[tuple[Cell, ...]] = []
    ratios: dict[str, list[float]] = {"paper": [], "ours": []}
    for mode, label in (("recnmp", "RecNMP"), ("trim", "TRiM")):
        for name in BROKEN_DOWN:
            theirs = [paper[f"{mode}_{part}"][name] for part in ("base", "duet")]
            mine = [ours[name, part, mode] for part in ("whole", "duet")]
            for system, (before, after) in (("paper", theirs), ("ours", mine)):
                ratios[system].append(before / after)
            both = beside(theirs, (round(ms, 2) for ms in mine))
            rows.append((f"{label}, {name.upper()}", *both, *(round(values[-1], 2) for values in ratios.values())))
    table = Table(
        title="A query of 1,024 candidates with lookups summed in memory, ms",
        header=("", "whole model: paper", "ours", "Duet: paper", "ours", "whole over Duet: paper", "ours"),
        rows=tuple(rows),
    )
    plot = Plot(
        title="Latency without Duet over that with it, near-memory processing in both",
        unit="times",
        kind="bars",
        x=tuple(str(row[0]) for row in rows),
        series={system: tuple(round(value, 2) for value in values) for system, values in ratios.items()},
    )
    means = {system: _mean(values) for system, values in ratios.items()}
    verdict, _ = judged([means["ours"] / means["paper"]], what="")
    why = reason("duet-figure-13", ratio=means["ours"], paper=means["paper"])
    return Finding(verdict=verdict, why=why, tables=(table,), plots=(plot,))


def items() -> tuple[Item, ...]:
    """All of them, in the paper's order."""
    return (
        Item(name="duet-table-1", commands=(TABLE_1,), find=_table_1),
        Item(name="duet-table-2", commands=(SPLITS,), find=_table_2),
        Item(name="duet-table-3", commands=(QUERY,), find=_table_3),
        Item(name="duet-table-4", commands=(EDGE,), find=_table_4),
        Item(name="duet-figure-2", commands=(QUERY,), find=_figure_2),
        Item(name="duet-figure-9", commands=(QUERY,), find=_figure_9),
        Item(name="duet-figure-10", commands=(QUERY,), find=_figure_10),
        Item(name="duet-figure-11", commands=(QUERY,), find=_figure_11),
        Item(name="duet-figure-12", commands=(QUERY, QUERIES), find=_figure_12),
        Item(name="duet-figure-13", commands=(NEAR_MEMORY,), find=_figure_13),
    )

"""The picture of learning curves."""

from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure

from microduet.plots import STYLE, svg
from microduet.train.compare import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"base": "#444444", "split": "#2a788e"}
PANELS = (("AUC on validation rows", "auc"), ("log-loss on validation rows, nats", "log_loss"))


def curves_svg(found: Comparison) -> str:
    """AUC and log-loss over rows learnt: a line per seed, a colour per kind, the best possible AUC dashed."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        panels: list[Axes] = list(figure.subplots(1, len(PANELS)))
        for axes, (title, name) in zip(panels, PANELS, strict=True):
            axes.set_title(f"{found.model}, {title}")
            _lines(axes, found, name)
        if found.best_auc is not None:
            panels[0].axhline(found.best_auc, color="#888888", linewidth=0.8, linestyle=(0, (4, 3)))
            panels[0].annotate("best possible, test rows", (0.02, found.best_auc), xycoords=("axes fraction", "data"),
                               xytext=(0, -10), textcoords="offset points", color="#666666")  # fmt: skip
        figure.supxlabel(f"rows learnt, {len(found.seeds)} seeds", fontsize=STYLE["font.size"])
        return svg(figure)


def _lines(axes: "Axes", found: Comparison, name: str) -> None:
    for kind, curves in found.curves.items():
        for number, curve in enumerate(curves):
            rows = [point.rows for point in curve]
            values: list[float] = [getattr(point, name) for point in curve]
            axes.plot(rows, values, marker="o", color=COLOURS[kind], label=kind if number == 0 else None)
    axes.legend(frameon=False)
    axes.grid(True)
    axes.tick_params(color="#888888")

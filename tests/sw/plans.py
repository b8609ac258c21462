"""Shapes and short cuts for the tests of plans."""

from microduet import boards
from microduet.boards import Board, Channel
from microduet.placement import Plan
from microduet.planner.figures import Figures, figures
from microduet.planner.make import make
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import Precision, SourceKind

BOARD = """
name = "mine"
dsp = 2000
bram36 = 500
uram = 64
onchip_share = 0.5

[[channels]]
kind = "hbm"
count = 2
mebibytes = 512

[[channels]]
kind = "ddr"
count = 1
mebibytes = 8192
"""
"""A board file."""
SMALL = Board(
    name="mine",
    channels=(
        Channel(name="hbm00", kind=SourceKind.HBM, size=1 << 20),
        Channel(name="hbm01", kind=SourceKind.HBM, size=1 << 20),
        Channel(name="ddr0", kind=SourceKind.DDR, size=3 << 20),
    ),
    uram=0,
)
"""Two small channels and a larger one, and nothing on chip."""
Tables = list[tuple[int, int, int]]


def shape(tables: Tables, *, name: str = "t") -> ModelShape:
    layers = perceptron(sum(dim for _, dim, _ in tables), (16, 1))
    return ModelShape(name=name, features=concatenated(tables), hidden=layers[:-1], output=layers[-1])


def planned(
    model: ModelShape | Tables, mode: str, *, board: str = "u280", precision: str = "fixed16", seconds: float = 10
) -> tuple[Plan, Figures]:
    model = shape(model) if isinstance(model, list) else model
    made = make(model, precision=Precision(precision), board=boards.find(board), mode=mode, seconds=seconds)
    return made.plan, figures(made.plan, model)

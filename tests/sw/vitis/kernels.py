"""Small engines for cards of Vitis."""

from microduet.presets import compile_config
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import EngineConfig

LAYERS = perceptron(12, (8, 1))
SHAPE = ModelShape(
    name="tiny",
    features=concatenated([(500_000, 4, 1), (300_000, 8, 2)]),
    hidden=LAYERS[:-1],
    output=LAYERS[-1],
)


def config_for(board: str, precision: str = "fixed16") -> EngineConfig:
    return compile_config(SHAPE, board=board, precision=precision)

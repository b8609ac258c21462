"""microduet: recommendation models compiled to gateware, simulated and driven from Python.

Attributes load on first use, so that ``import microduet`` needs neither torch nor a simulator.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from microduet import models as models
    from microduet.bundle import Bundle as Bundle
    from microduet.cards.bundle import CardsBundle as CardsBundle
    from microduet.cards.compile import compile_cards as compile_cards
    from microduet.compiler import compile as compile
    from microduet.edge.compile import compile_edge as compile_edge
    from microduet.errors import MicroduetError as MicroduetError
    from microduet.opening import open as open
    from microduet.presets import compile_config as compile_config
    from microduet.queries.open import query as query
    from microduet_sim.link import Link as Link
    from microduet_sim.network import Network as Network

_HOMES = {
    "Bundle": "microduet.bundle",
    "CardsBundle": "microduet.cards.bundle",
    "Link": "microduet_sim.link",
    "MicroduetError": "microduet.errors",
    "Network": "microduet_sim.network",
    "compile": "microduet.compiler",
    "compile_cards": "microduet.cards.compile",
    "compile_config": "microduet.presets",
    "compile_edge": "microduet.edge.compile",
    "open": "microduet.opening",
    "query": "microduet.queries.open",
}
__all__ = [
    "Bundle",
    "CardsBundle",
    "Link",
    "MicroduetError",
    "Network",
    "compile",
    "compile_cards",
    "compile_config",
    "compile_edge",
    "models",
    "open",
    "query",
]


def __getattr__(name: str) -> typing.Any:
    if name == "models":
        return importlib.import_module("microduet.models")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'microduet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""What `microduet verilog --kernel` adds to the Verilog."""

from collections.abc import Mapping
from importlib import resources

from microduet.boards import Board
from microduet.vitis.connectivity import connectivity
from microduet.vitis.kernel_xml import kernel_xml
from microduet.vitis.packaging import SCRIPT, packaging
from microduet.vitis.register_list import described, header, markdown
from microduet_hw.config import EngineConfig

SOURCES = ("movers.cpp", "microduet_ip.cpp")
"""Written as they are."""

BENCH = ("testbench.v", "models.v")
"""Verilog that does not belong to the kernel."""


def kernel_files(config: EngineConfig, board: Board, exported: Mapping[str, str]) -> dict[str, str]:
    """Files by name, for the kernel whose Verilog is in `exported`. Equal configurations give equal bytes.

    Raises
    ------
    PlacementError
        If the plan in the configuration does not fit the board.
    """
    folder = resources.files("microduet.vitis") / "sources"
    sources = [name for name in exported if name.endswith(".v") and name not in BENCH]
    return {
        "connectivity.cfg": connectivity(config, board),
        "kernel.xml": kernel_xml(config),
        SCRIPT: packaging(config, sources),
        "registers.md": markdown(config),
        "registers.h": header(config),
        "registers.json": described(config),
        **{name: (folder / name).read_text() for name in SOURCES},
    }

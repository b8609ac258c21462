"""`microduet verilog rm3-edge`: an edge unit's files for synthesis."""

from pathlib import Path

from rich.console import Console

from microduet.duet.configure import edge_config
from microduet.edge.compile import spec_of
from microduet.folders import replace_folder
from microduet.gateware import verilog
from microduet.verilog import written
from microduet_hw.edge.export import export


def main(target: str, *, output: Path) -> int:
    """Write the files of the unit called `target` to the folder `output`."""
    spec = spec_of(target)
    assert spec.split is not None
    config = edge_config(spec.shape, spec.split)
    files = export(config, unit=verilog(config))
    replace_folder(output, {name: text.encode() for name, text in files.items()}, previous=written)
    size = sum(len(text) for text in files.values()) / 1e6
    Console(highlight=False, soft_wrap=True).print(f"{config.name}: {len(files)} files, {size:.1f} MB, in {output}")
    return 0

"""Verilog of configurations, generated once and kept."""

import functools
import hashlib
from pathlib import Path

import microduet_hw
from microduet_hw.config import EngineConfig
from microduet_hw.edge.config import EdgeConfig
from microduet_sim.cache import publish


def verilog(config: EngineConfig | EdgeConfig) -> dict[str, str]:
    """Verilog texts by file name, as `microduet_hw.generate.generate` gives them."""
    key = hashlib.sha256(hardware_digest() + config.to_json()).hexdigest()[:32]
    folder, _ = publish("verilog", key, lambda empty: _write(empty, config))
    return {file.name: file.read_text() for file in sorted(folder.glob("*.v"))}


def _write(folder: Path, config: EngineConfig | EdgeConfig) -> None:
    from microduet_hw.generate import generate  # takes seconds, and is not needed when the texts are there

    for name, text in generate(config).items():
        (folder / name).write_text(text)


@functools.cache
def hardware_digest() -> bytes:
    """Hash of the gateware's sources."""
    here = Path(str(microduet_hw.__file__)).parent
    digest = hashlib.sha256()
    for file in sorted(here.rglob("*.py")):
        digest.update(str(file.relative_to(here)).encode() + b"\0" + file.read_bytes())
    return digest.digest()

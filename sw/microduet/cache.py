"""Where compiled models are kept, and the keys they are kept under."""

import functools
import hashlib
from pathlib import Path

import microduet_hw
from microduet_sim.cache import cache_folder


def bundle_path(name: str, *parts: bytes) -> Path:
    """Where the bundle that depends on `parts`, and on this software, is kept."""
    digest = hashlib.sha256(source_digest())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return cache_folder() / "bundles" / f"{name}-{digest.hexdigest()[:20]}"


@functools.cache
def source_digest() -> bytes:
    """Hash of the sources that decide what a bundle contains."""
    here, hardware = Path(__file__).parent, Path(str(microduet_hw.__file__)).parent
    folders = (here, *(here / name for name in ("duet", "edge", "models", "planner")), hardware / "edge")
    files = [file for folder in folders for file in folder.glob("*.py")]
    files += [hardware / f"{name}.py" for name in ("config", "layout", "legality", "quantised", "stack")]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.digest()

"""Coverage-guided damage for all parsers: ``python -m tests.support.guided CASES SEED FOLDER``.

libFuzzer, through atheris, changes valid files, keeps those that reach branches of microduet that none reached before,
and goes on from them. Whatever is not a value or a documented error ends it with status 77; the file that did it is
left in FOLDER, its first byte the number of the parser (`targets`).
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import atheris

atheris_of: Any = atheris  # its functions have no types

with atheris_of.instrument_imports(
    include=["microduet", "microduet_sim", "microduet_hw"], enable_loader_override=False
):
    from tests.support.damage import refused_at_worst
    from tests.sw.fuzz import parsers, test_bundles

LONGEST = 1 << 15
"""Bytes of a file; what is longer is damaged at random only."""

Target = tuple[str, bytes, Callable[[bytes], None]]


def read(parser: parsers.Parser, data: bytes) -> None:
    """Parse `data` as a file, which may be refused."""
    with tempfile.TemporaryDirectory(prefix="microduet-fuzz-") as folder:
        path = Path(folder) / parser.name
        path.write_bytes(data)
        with refused_at_worst():
            parser.read(path)


def targets() -> list[Target]:
    """Name, a valid file, and what reads one: every parser, and every file of both bundles, its hash made to fit."""
    found: list[Target] = [(parser.name, parser.example(), partial(read, parser)) for parser in parsers.PARSERS]
    for kind in test_bundles.KINDS:
        for name, whole in test_bundles.contents(kind).items():

            def use(data: bytes, kind: str = kind, name: str = name) -> None:
                test_bundles.check(kind, name, data, fit=True)

            found.append((f"{kind}: {name}", whole, use))
    return [target for target in found if len(target[1]) <= LONGEST]


def main(cases: str, seed: str, folder: str) -> None:
    """Run `cases` damaged files; ends the process."""
    found = targets()
    corpus = Path(tempfile.mkdtemp(prefix="microduet-corpus-"))
    for number, (_, example, _) in enumerate(found):
        (corpus / f"{number}").write_bytes(bytes([number]) + example)

    def run(data: bytes) -> None:
        if data and data[0] < len(found):
            found[data[0]][2](data[1:])

    def mutate(data: bytes, longest: int, _: int) -> bytes:
        return data[:1] + atheris_of.Mutate(data[1:], longest - 1) if data else data

    print(f"{len(found)} parsers: {', '.join(name for name, _, _ in found)}", flush=True)
    options = [
        f"-runs={cases}",
        f"-seed={seed}",
        f"-max_len={LONGEST + 1}",
        f"-artifact_prefix={folder}/",
        "-timeout=90",
    ]
    atheris_of.Setup([sys.argv[0], *options, str(corpus)], run, custom_mutator=mutate)
    atheris_of.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])

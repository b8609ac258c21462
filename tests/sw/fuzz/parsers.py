"""Every parser of files, with a valid example that is damaged at random."""

import functools
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import microduet as md
from microduet import boards
from microduet.bundle import Bundle
from microduet.check import read_data
from microduet.data.opening import open_data
from microduet.duet.shape import read_shape
from microduet.placement import Plan
from microduet.planner.check import check
from microduet.sweep import config as sweep_config
from microduet.trace import trace
from microduet.traced import TracedModel
from microduet.traffic import make_ids
from microduet.verilog import read_configuration
from microduet_sim.dram.parameters import built_in, built_in_text, read_parameters
from microduet_sim.dram.replay import read_trace
from tests.support.environment import REPOSITORY
from tests.sw.cards.models import Wide
from tests.sw.cases import Mixed
from tests.sw.data.sets import SETS as ALL_SETS
from tests.sw.duet.test_shape import SMALL

SETS = {files.kind: files for files in ALL_SETS}
BOARD = """\
name = "mine"
dsp = 3000
bram36 = 900
uram = 320
onchip_share = 0.5
[[channels]]
kind = "ddr"
count = 2
mebibytes = 8192
"""
REPLAY = "order,address_hex,bytes\n" + "".join(f"{k},0x{4096 * k:x},64\n" for k in range(50))


@dataclass(frozen=True, kw_only=True)
class Parser:
    """A parser of one file.

    Members
    -------
    name : of the file
    example : a valid one
    read : parses the file
    cost : how many times as long it takes as others
    """

    name: str
    example: Callable[[], bytes]
    read: Callable[[Path], object]
    cost: int = 1

    @property
    def is_json(self) -> bool:
        return self.name.endswith(".json")


@functools.cache
def mixed() -> Bundle:
    """A compiled model with stored and generated tables and dense inputs."""
    return md.compile(Mixed(), out=Path(tempfile.mkdtemp(prefix="microduet-fuzz-")) / "b")


@functools.cache
def wide() -> Bundle:
    """One of another model."""
    return md.compile(Wide(), out=Path(tempfile.mkdtemp(prefix="microduet-fuzz-")) / "b")


def file_of(name: str) -> bytes:
    """A file of the compiled model."""
    return (mixed().path / name).read_bytes()


def log_file(kind: str) -> bytes:
    folder = Path(tempfile.mkdtemp(prefix="microduet-fuzz-"))
    SETS[kind].write(folder)
    return (folder / SETS[kind].file).read_bytes()


def read_log(kind: str, path: Path) -> None:
    """Open a log whose other files are whole, and read its training rows."""
    with tempfile.TemporaryDirectory(prefix="microduet-fuzz-") as name:
        folder = Path(name)
        SETS[kind].write(folder)
        shutil.copy(path, folder / SETS[kind].file)
        log = open_data(f"{kind}:{folder}")
        for _ in log.chunks("train"):
            pass


def read_ids(path: Path) -> None:
    make_ids(mixed().config, items=8, traffic=str(path), seed=0)


def check_plan(path: Path) -> None:
    bundle = mixed()
    check(Plan.read(path), bundle.shape, boards.find("u280"))


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def ids() -> np.ndarray:
    return make_ids(mixed().config, items=8, traffic="uniform", seed=0)


def items() -> bytes:
    return npz(sparse=ids(), dense=np.zeros((8, 3), np.float32), labels=np.arange(8) % 2)


@functools.cache
def traced() -> TracedModel:
    return trace(Mixed())


PARSERS = [
    Parser(name="board.toml", example=BOARD.encode, read=lambda path: boards.find(str(path))),
    Parser(name="sweep.toml", example=(REPOSITORY / "docs/sweep.toml").read_bytes, read=sweep_config.read),
    Parser(name="dram.toml", example=built_in_text("hbm2-u280").encode, read=read_parameters),
    Parser(name="description.json", example=SMALL.to_json, read=read_shape),
    Parser(name="plan.json", example=lambda: file_of("plan.json"), read=check_plan),
    Parser(name="config.json", example=lambda: file_of("config.json"), read=read_configuration),
    Parser(name="replay.csv", example=REPLAY.encode, read=lambda path: read_trace(path, built_in("hbm2-u280"))),
    Parser(name="ids.npy", example=lambda: npy(ids()), read=read_ids),
    Parser(name="ids.txt", example=lambda: "\n".join(" ".join(map(str, row)) for row in ids()).encode(), read=read_ids),
    Parser(name="items.npz", example=items, read=lambda path: read_data(path, traced())),
    *(
        Parser(name=f"log-{kind}", example=partial(log_file, kind), read=partial(read_log, kind), cost=10)
        for kind in SETS
    ),
]

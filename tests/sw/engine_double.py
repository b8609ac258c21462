"""A double of an engine behind the driver: nothing is built, nothing simulated, but every call is kept."""

import functools
import tempfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import microduet as md
from microduet import device as driver
from microduet.boards import find
from microduet.bundle import Bundle
from microduet.device import Device
from microduet.placement import place
from microduet.presets import Tuning, engine_config
from microduet.trace import trace
from microduet_hw.config import EngineConfig, Precision
from microduet_hw.registers import Register, register_map
from microduet_hw.status import Status
from microduet_sim.batch import Counters, Fault, Results, Stalls
from microduet_sim.card import SimulationError


class Small(torch.nn.Module):
    """Two tables, one of them too large for the chip, with or without a sigmoid behind their dot product."""

    def __init__(self, *, sigmoid: bool, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.users, self.items = torch.nn.Embedding(40, 3), torch.nn.Embedding(4000, 6)
        self.out = torch.nn.Linear(9, 1)
        self.last = torch.nn.Sigmoid() if sigmoid else torch.nn.Identity()

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return self.last(self.out(torch.cat([self.users(sparse[:, 0]), self.items(sparse[:, 1])], 1)))


@functools.cache
def compiled(*, sigmoid: bool = True, seed: int = 0, weight_check: bool = False) -> Bundle:
    model = trace(Small(sigmoid=sigmoid, seed=seed))
    plan = place(model.shape, precision=Precision.FIXED16, board=find("u280"))
    config = engine_config(model.shape, precision=Precision.FIXED16, arrays=(), plan=plan)
    config = config.replace(**Tuning(weight_check=weight_check).fields)
    return md.compile(model, config=config, out=Path(tempfile.mkdtemp(prefix="microduet-test-")) / "bundle")


class Double:
    """An engine as the driver sees one: registers, the CRC of what it takes, and results that a test has chosen."""

    results: Results
    damaged: bool = False
    digest_off = 0
    broken: str | None = None

    def __init__(self, config: EngineConfig, library: object, **rest: object) -> None:
        self.config, self.library, self.rest = config, library, rest
        self.map, self.log, self.closed, self.ended = register_map(config), [], False, 0
        self.memory = {int(Register.DIGEST): int(config.digest[:8], 16) ^ self.digest_off}
        self.memory[int(Register.LOADED)] = 77  # what an earlier load left
        self.loaded, self.asked, self.checks = [], [], []

    def read(self, register: int) -> int:
        return self.memory.get(register, 0)

    def write(self, register: int, value: int) -> None:
        self.log.append((register, value))
        self.memory[register] = value

    def take(self, beats: np.ndarray) -> None:
        at = int(Register.LOADED)
        self.memory[at] = zlib.crc32(beats.tobytes(), self.memory[at]) ^ self.damaged

    def load(self, beats: np.ndarray) -> None:
        self.raise_if_broken()
        self.loaded.append(beats)
        self.take(beats)

    def ask(self, beats: np.ndarray) -> None:
        self.raise_if_broken()
        self.asked.append(beats)
        self.take(beats)
        self.memory[self.map["checked"]] = zlib.crc32(self.checks.pop(0), self.memory.get(self.map["checked"], 0))

    def run(self, packets: np.ndarray, *, mode: object, beats: object, progress: object) -> Results:
        self.raise_if_broken()
        self.log.append((packets, mode, beats, progress))
        return self.results

    def raise_if_broken(self) -> None:
        if self.broken:
            raise SimulationError(self.broken)

    def counters(self) -> Counters:
        return Counters(engine_cycles=5000, memory_cycles=9, reads={})

    def set_stalls(self, stalls: Stalls) -> None:
        self.log.append(stalls)

    def set_faults(self, faults: dict[int, Fault]) -> None:
        self.log.append(faults)

    def close(self) -> None:
        self.closed = True
        self.ended += 1


class Doubled(Device):
    SIMULATOR = Double  # type: ignore[assignment]


def sparse_of(items: int) -> np.ndarray:
    return np.stack([np.arange(items) % 40, np.arange(items) % 70], 1).astype(np.int64)


def results_of(items: int, *, status: dict[int, Status] | None = None, accepted: int = 1_000_000) -> Results:
    """Item k is taken at k + 1 us, its vector is there 0.25 us later and its score 2 + k us after it was taken."""
    begun = accepted + 1_000_000 * np.arange(items, dtype=np.uint64)
    flags = np.zeros(items, np.uint8)
    for item, flag in (status or {}).items():
        flags[item] = flag
    return Results(
        tag=np.arange(items, dtype=np.uint32),
        logit=np.arange(items, dtype=np.int32) * 3 - 10,
        score=(np.arange(items) * 1000 + 7).astype(np.uint16),
        status=flags,
        accepted_ps=begun,
        vector_ps=begun + np.uint64(250_000),
        finished_ps=begun + (np.uint64(2_000_000) + 1_000_000 * np.arange(items, dtype=np.uint64)),
        engine_cycles=4321,
        memory_cycles=5,
        seconds=0.75,
    )


def build_nothing(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Keep what the driver would have built."""
    calls: list[tuple] = []

    def build(*given: object, **named: object) -> SimpleNamespace:
        calls.append((given, named))
        return SimpleNamespace(number=len(calls))

    monkeypatch.setattr(driver, "build", build)
    return calls

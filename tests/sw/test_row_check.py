"""The driver on engines whose rows end in a check word: what memory got wrong is named, whatever it was."""

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

import microduet as md
from microduet import zoo
from microduet.boards import Channel, find
from microduet.bundle import Bundle
from microduet.compiler import configure, target
from microduet.device import Device
from microduet.errors import PlacementError
from microduet.images import table_images
from microduet.measure import compare
from microduet.models import GeneratedEmbedding
from microduet.placement import Plan, place
from microduet.planner.checked import with_room
from microduet.planner.make import make
from microduet.presets import Tuning
from microduet.trace import trace
from microduet.traffic import make_ids
from microduet_hw.config import Array, Part, Precision, SourceKind
from microduet_hw.image import onchip_beats
from microduet_hw.lookup.geometry import read_beats
from microduet_hw.status import Status
from microduet_sim.tables import channel_beats

PRECISIONS = ["fixed16", pytest.param("int8", marks=pytest.mark.nightly)]
ROWS = 300_000
ARRAYS = (Array(pes=8, lanes=4, drain=4, layers=(0, 1)),)


class Two(torch.nn.Module):
    """Rows of 32 and of 6 elements: in 16 bits the first fill their beats, the others have room."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.long, self.short = GeneratedEmbedding(ROWS, 32, 3, 1), GeneratedEmbedding(ROWS, 6, 3, 2)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(38, 24), torch.nn.ReLU(), torch.nn.Linear(24, 12), torch.nn.ReLU(), torch.nn.Linear(12, 1)
        )

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.mlp(torch.cat([self.long(sparse[:, 0]), self.short(sparse[:, 1])], dim=1)))


class Banked(torch.nn.Module):
    """A table in a bank: in 16 bits its rows are two words."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.small, self.large = torch.nn.Embedding(60, 20), GeneratedEmbedding(ROWS, 6, 3, 2)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(26, 24), torch.nn.ReLU(), torch.nn.Linear(24, 12), torch.nn.ReLU(), torch.nn.Linear(12, 1)
        )

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.mlp(torch.cat([self.small(sparse[:, 0]), self.large(sparse[:, 1])], dim=1)))


@functools.cache
def compiled(precision: str, *, row_check: bool = True, model: type[torch.nn.Module] = Two) -> Bundle:
    traced, board = trace(model()), find("u280")
    plan = place(traced.shape, precision=Precision(precision), board=board)
    tuning = Tuning(arrays=ARRAYS, row_check=row_check)
    folder = Path(tempfile.mkdtemp(prefix="microduet-test-"))
    return md.compile(traced, precision=precision, plan=plan, tuning=tuning, out=folder / "bundle")


def part_of(bundle: Bundle, feature: int) -> tuple[int, Part]:
    """The channel that holds a feature, and how."""
    ((source, part),) = (
        (k, part) for k, source in enumerate(bundle.config.sources) for part in source.parts if part.feature == feature
    )
    return source, part


def stored(bundle: Bundle, feature: int, row: int) -> tuple[int, int, np.ndarray]:
    """Source, address and beats of a row as memory holds it."""
    source, part = part_of(bundle, feature)
    address = part.offset(row)
    addresses = address + 32 * np.arange(read_beats(bundle.config, part))
    channel = bundle.config.channels.index(source)
    beats = channel_beats(bundle.config, table_images(bundle), channel=channel, addresses=addresses)
    return source, address, beats.reshape(-1)


def expect(device: Device, sparse: np.ndarray, wrong: dict[int, Status]) -> None:
    """Items of `wrong` have that status; all others are the golden model's."""
    batch, golden = device.run(sparse), device.bundle.golden().run(sparse)
    found = {item: Status(status) for item, status in enumerate(batch.status.tolist()) if status}
    assert found == wrong
    right = [item for item in range(len(sparse)) if item not in wrong]
    assert batch.logits[right].tolist() == golden.logits[right].tolist()
    assert np.flatnonzero(np.isnan(batch.scores)).tolist() == sorted(wrong)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_scores_are_the_golden_models(precision: str) -> None:
    bundle = compiled(precision)
    sparse = make_ids(bundle.config, items=60, traffic="uniform", seed=1)
    with md.open(bundle) as device:
        mismatches, count = compare(bundle, device.run(sparse), sparse, None)
        assert count == 0, [str(mismatch) for mismatch in mismatches]
        device.set_stalls(0.5, seed=3)
        expect(device, sparse, {})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_changed_bit_marks_the_items_that_read_its_row(precision: str) -> None:
    """Any bit: of elements, of what fills the row up, of the check word."""
    bundle = compiled(precision)
    sparse = make_ids(bundle.config, items=30, traffic="uniform", seed=2)
    sparse[21] = sparse[9]
    rng = np.random.default_rng(4)
    with md.open(bundle) as device:
        for feature in (0, 1):
            source, address, row = stored(bundle, feature, int(sparse[9, feature]))
            for bit in (0, 8 * len(row) - 1, *rng.integers(0, 8 * len(row), 4).tolist()):
                changed = row.copy()
                changed[bit // 8] ^= 1 << bit % 8
                device.simulator.write_memory(source, address, changed)
                expect(device, sparse, {9: Status.ROW_CHECK, 21: Status.ROW_CHECK})
            device.simulator.write_memory(source, address, row)
        expect(device, sparse, {})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_changed_bit_in_a_bank_marks_the_items_that_read_its_row(precision: str) -> None:
    """Of the check word, the lowest 16 bits, and of elements; loading again repairs it."""
    bundle = compiled(precision, model=Banked)
    source, part = part_of(bundle, 0)
    assert bundle.config.sources[source].kind is SourceKind.ONCHIP
    sparse = make_ids(bundle.config, items=30, traffic="uniform", seed=7)
    sparse[:, 0] = np.arange(30)
    sparse[21, 0] = 9
    words = onchip_beats(bundle.config, bundle.rows)
    (place,) = np.flatnonzero((words[:, 14] & 0xFFFFFF) == part.offset(9) // 32)
    with md.open(bundle) as device:
        expect(device, sparse, {})
        for bit in (0, 15, 16, 100, 16 + 8 * 20 - 1):
            changed = words[[place]]
            changed[0, bit // 32] ^= np.uint32(1 << bit % 32)
            device.simulator.load(changed)
            expect(device, sparse, {9: Status.ROW_CHECK, 21: Status.ROW_CHECK})
        device.reload()
        expect(device, sparse, {})


@pytest.mark.parametrize("feature", [0, 1])
def test_a_row_of_another_address_marks_its_item(feature: int) -> None:
    """Two rows, each where the other should be: both whole, neither its address's."""
    bundle = compiled("fixed16")
    sparse = make_ids(bundle.config, items=30, traffic="uniform", seed=6)
    source, one, first = stored(bundle, feature, int(sparse[4, feature]))
    _, other, second = stored(bundle, feature, int(sparse[17, feature]))
    with md.open(bundle) as device:
        device.simulator.write_memory(source, one, second)
        device.simulator.write_memory(source, other, first)
        expect(device, sparse, {4: Status.ROW_CHECK, 17: Status.ROW_CHECK})


def test_without_the_check_a_changed_bit_is_not_found() -> None:
    bundle = compiled("fixed16", row_check=False)
    sparse = make_ids(bundle.config, items=3, traffic="uniform", seed=2)
    source, address, row = stored(bundle, 0, int(sparse[1, 0]))
    row[1] ^= 0x40
    with md.open(bundle) as device:
        device.simulator.write_memory(source, address, row)
        batch = device.run(sparse)
    assert batch.status.tolist() == [0, 0, 0]
    assert batch.logits[1] != bundle.golden().run(sparse).logits[1]


def strides(plan: Plan) -> list[tuple[int, int]]:
    return [(part.feature, part.stride_log2) for source in plan.sources for part in source.parts]


def test_room_is_made_only_where_rows_fill_their_beats() -> None:
    shape, board = trace(Two()).shape, find("u280")
    for precision, longer in ((Precision.FIXED16, 1), (Precision.INT8, 1), (Precision.FIXED32, 1)):
        plan = place(shape, precision=precision, board=board)
        roomy = with_room(plan, board)
        before, after = dict(strides(plan)), dict(strides(roomy))
        assert after == {0: before[0] + longer, 1: before[1]}
        assert sum(p.beats for p in roomy.planned) == sum(p.beats for p in plan.planned) + 1


def test_no_room_is_one_line() -> None:
    shape, board = trace(Two()).shape, find("u280")
    small = dataclasses.replace(board, channels=(Channel(name="hbm0", kind=SourceKind.HBM, size=28 << 20),))
    plan = place(shape, precision=Precision.FIXED16, board=small)
    with pytest.raises(PlacementError, match="hbm0: rows and their check words need 48000000 bytes of its 29360128"):
        with_room(plan, small)


def test_rows_in_chosen_banks_stay_where_they_are_or_say_why() -> None:
    shape, board = trace(Two()).shape, find("u280")
    plan = place(shape, precision=Precision.FIXED16, board=board)

    def in_banks(feature: int) -> Plan:
        planned = [
            p.replace(source=p.source.replace(parts=(p.source.parts[0].replace(hole_log2=10, hole_bits=2),)))
            if p.source.parts[0].feature == feature
            else p
            for p in plan.planned
        ]
        return plan.replace(planned=tuple(planned))

    assert strides(with_room(in_banks(1), board)) == strides(with_room(plan, board))
    with pytest.raises(PlacementError, match=r"rows in chosen banks have no room for a check word; use mode 'rule'"):
        with_room(in_banks(0), board)


@pytest.mark.parametrize("mode", ["best", "rule"])
def test_any_model_is_planned_with_room(mode: str) -> None:
    shape, board = zoo.find("microrec-small").shape, find("u280")
    made = make(shape, precision=Precision.FIXED16, board=board, mode=mode).plan
    chosen = target(board=board, precision=Precision.FIXED16, tuning=Tuning(row_check=True), plan=made)
    for given in (chosen, dataclasses.replace(chosen, plan=None)):
        config, plan = configure(shape, given)
        assert config.row_check
        assert config.sources == plan.sources

"""The search: what it must find, what its arithmetic must agree with, what it refuses."""

import dataclasses
import itertools
import os
import subprocess
import sys

import pytest

from microduet import boards, search, timing, zoo
from microduet.budget import schedule, words_out
from microduet.duet import zoo as duet_zoo
from microduet.duet.compile import compilable
from microduet.errors import MicroduetError, SearchError
from microduet.placement import place
from microduet.presets import PAPER, compile_config, engine_config, paper_arrays
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import Array, EngineConfig, Layer, Precision
from microduet_hw.layout import plan_layer
from microduet_hw.pe_array import pe_array_shape

U280 = boards.find("u280")


def shape(widths: tuple[int, ...], *, elements: int = 24) -> ModelShape:
    layers = perceptron(elements, widths)
    features = concatenated([(100, elements, 1)])
    return ModelShape(name="t", features=features, hidden=layers[:-1], output=layers[-1])


def config_of(model: ModelShape, arrays: tuple[Array, ...]) -> EngineConfig:
    plan = place(model, precision=Precision.FIXED16, board=U280)
    return engine_config(model, precision=Precision.FIXED16, arrays=arrays, plan=plan)


@pytest.mark.parametrize(
    ("model", "precision", "label", "cycles"),
    [
        ("microrec-small", "fixed16", "256x18[0,1,2]", 223),
        ("microrec-large", "fixed16", "256x18[0,1,2]", 339),
        ("microrec-small", "fixed32", "128x18[0,1,2]", 446),
        ("microrec-large", "fixed32", "128x18[0,1,2]", 678),
        ("microrec-small", "int8", "256x18[0,1,2]", 223),
        ("rmc2-8", "fixed16", "256x18[0,1,2]", 203),
        ("rmc2-12", "fixed16", "256x18[0,1,2]", 231),
    ],
)
def test_finds_the_wave_through_one_array(model: str, precision: str, label: str, cycles: int) -> None:
    result = search.search(zoo.find(model).shape, precision=Precision(precision), board=U280)
    assert (result.chosen.label, result.chosen.cycles) == (label, cycles)
    assert result.chosen.resources.multipliers <= result.budget
    assert result.limit <= result.chosen.cycles <= 1.03 * result.limit
    assert result.chosen.resources.fit(U280)


def test_int8_takes_half_the_slices_for_the_same_cycles() -> None:
    shape = zoo.find("microrec-small").shape
    fixed16, int8 = (
        search.search(shape, precision=precision, board=U280).chosen
        for precision in (Precision.FIXED16, Precision.INT8)
    )
    assert (fixed16.cycles, fixed16.resources.multipliers) == (int8.cycles, int8.resources.multipliers)
    slices = [used.dsp - used.requantiser_dsp - used.output_multipliers for used in (fixed16.resources, int8.resources)]
    assert slices == [4608, 2304]


@pytest.mark.parametrize(
    ("model", "precision", "cycles", "behind"),
    [
        ("rm3", "fixed16", 5, 0),
        ("rm3", "int8", 3, 0),
        ("rm4", "fixed16", 50, 0),
        ("rm4", "int8", 25, 0),
        ("rm5", "fixed16", 3, 2),
        ("rm5", "int8", 2, 1),
    ],
)
def test_items_of_a_split_use_as_many_slices_in_any_precision(
    model: str, precision: str, cycles: int, behind: int
) -> None:
    """4,608 and 32 for the output layer, the user part's included: two multipliers of a pair each in int8."""
    spec = compilable(duet_zoo.spec(model, split="duet")).traced.shape
    chosen = search.search(spec, precision=Precision(precision), board=U280).chosen
    assert (chosen.cycles, chosen.behind) == (cycles, behind)
    used, user = chosen.resources, spec.user_part
    assert user is not None
    assert used.dsp - used.requantiser_dsp + user.multipliers <= 4608 + 32


@pytest.mark.parametrize(
    ("model", "precision", "cycles"),
    [
        ("microrec-small", "fixed16", 256),
        ("microrec-small", "fixed32", 512),
        ("microrec-large", "fixed16", 440),
        ("microrec-large", "fixed32", 880),
    ],
)
def test_paper_preset_takes_the_papers_cycles_with_double_buffering(model: str, precision: str, cycles: int) -> None:
    spec = zoo.find(model).shape
    arrays = paper_arrays(spec, Precision(precision))
    assert search.weigh(spec, arrays, precision=Precision(precision), board=U280).cycles == cycles


@pytest.mark.parametrize("outputs", [1, 7, 16, 40, 100])
def test_words_agree_with_the_layout(outputs: int) -> None:
    for pes, drain in itertools.product((2, 6, 10, 16, 34), (1, 3, 4, 8, 18)):
        model = shape((outputs, 1))
        config = config_of(model, (Array(pes=pes, lanes=5, drain=drain, layers=(0,)),))
        assert words_out(Layer(inputs=24, outputs=outputs), pes=pes, drain=drain) == plan_layer(config, 0).words


@pytest.mark.parametrize("widths", [(40, 24, 16, 1), (7, 3, 1), (64, 64, 64, 64, 1)])
def test_cycles_and_drains_agree_with_the_layout(widths: tuple[int, ...]) -> None:
    model = shape(widths)
    result = search.search(model, precision=Precision.FIXED16, board=U280, budget=64)
    for arrangement in result.best[:10]:
        config = config_of(model, arrangement.arrays)
        for array in arrangement.arrays:
            plans = [plan_layer(config, number) for number in array.layers]
            taken, *_ = schedule(
                tuple(model.hidden[n] for n in array.layers), plans[0].steps, pes=array.pes, drain=array.drain
            )
            assert taken == sum(plan.rounds * plan.steps for plan in plans) <= arrangement.cycles
            longest = max(len(steps) for plan in plans for steps in plan.drains)
            assert longest <= min(plan.steps for plan in plans)


@pytest.mark.parametrize("widths", [(1,), (2, 1), (1, 1), (3, 5, 2, 1), (8,) * 7 + (1,), (2000, 1)])
def test_finds_something_for_odd_models(widths: tuple[int, ...]) -> None:
    for elements in (1, 3, 200):
        model = shape(widths, elements=elements)
        config = compile_config(model)
        assert config.multipliers <= 4608


def test_is_deterministic() -> None:
    spec = zoo.find("microrec-large").shape
    results = [search.search(spec, precision=Precision.FIXED32, board=U280) for _ in range(2)]
    assert results[0] == results[1]
    assert compile_config(spec).digest == compile_config(spec).digest


def test_hash_seeds_change_nothing() -> None:
    script = "from microduet import presets, zoo; print(presets.compile_config(zoo.find('rmc2-8').shape).digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_smaller_budgets_cost_cycles() -> None:
    spec = zoo.find("microrec-small").shape
    cycles = [search.search(spec, precision=Precision.FIXED16, board=U280, budget=b).chosen.cycles for b in (512, 2048)]
    assert cycles[0] > 3.8 * cycles[1]


def test_refuses_weights_that_do_not_fit_the_card() -> None:
    tiny = dataclasses.replace(U280, bram36=8, uram=0)
    with pytest.raises(SearchError, match="no arrangement of at most 4608 multipliers holds the weights on u280"):
        search.search(zoo.find("microrec-small").shape, precision=Precision.FIXED16, board=tiny)


def test_refuses_an_unknown_preset() -> None:
    with pytest.raises(SearchError, match=f"config must be default or {PAPER}, not 'fast'"):
        compile_config(zoo.find("microrec-small").shape, config="fast")


def test_refuses_the_papers_preset_for_another_depth() -> None:
    with pytest.raises(SearchError, match="has 3 hidden layers, t has 1"):
        compile_config(shape((8, 1)), config=PAPER)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: zoo.find("microrec"), "model must be microrec-small, .* not 'microrec'"),
    (lambda: zoo.rmc2(tables=9), "8 or 12 tables, not 9"),
    (lambda: zoo.rmc2(dim=65), "dim must be 4 to 64, not 65"),
])  # fmt: skip
def test_zoo_names_what_is_allowed(call: object, message: str) -> None:
    with pytest.raises(MicroduetError, match=message):
        call()


@pytest.mark.parametrize("precision", list(Precision))
def test_latencies_of_the_estimate_are_those_of_the_gateware(precision: Precision) -> None:
    model = shape((16, 1))
    config = compile_config(model, precision=precision)
    requantiser = pe_array_shape(config, config.arrays[0]).drain.requantiser.latency
    assert {Precision.FIXED16: 3, Precision.FIXED32: 4, Precision.INT8: 6}[precision] == requantiser
    assert timing.DRAIN_CYCLES == 5

"""`microduet verilog`: a kernel's files for synthesis, and a self-checking testbench with them if wanted."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console

from microduet import boards, compiler, gateware, zoo
from microduet.bundle import Bundle
from microduet.errors import InputError
from microduet.folders import replace_folder
from microduet.job import RunOptions, compile_named
from microduet.shape import ModelShape
from microduet.traffic import make_ids
from microduet.unreadable import UNREADABLE
from microduet.vitis.files import kernel_files
from microduet_hw.config import EngineConfig
from microduet_hw.export import MAP, export, module_name, with_map
from microduet_hw.image import load_beats
from microduet_hw.testbench import TOP, channel_reads, testbench

KERNEL_BOARD = "u55c"
"""The card of a Vitis kernel, if none is named: the U280 left the newest tools."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerilogOptions:
    """Arguments of `microduet verilog`."""

    output: Path
    vectors: int = 0
    precision: str | None = None
    config: str | None = None
    board: str | None = None
    row_check: bool = False
    seed: int = 0
    dim: int = 32
    kernel: bool = False

    @property
    def card(self) -> str:
        """The board: as given, or the usual one, or for Vitis the one that its newest version still has."""
        return self.board or (KERNEL_BOARD if self.kernel else "u280")


def main(target: str, options: VerilogOptions) -> int:
    """Write the files of `target`, a model or the path of a configuration, to `options.output`."""
    if options.vectors < 0:
        raise InputError(f"vectors must be at least 0, not {options.vectors}")
    if target.endswith(".json"):
        config, bundle = _of_configuration(Path(target), options)
    else:
        bundle = compile_named(
            target,
            RunOptions(
                precision=options.precision or "fixed16",
                config=options.config,
                board=options.card,
                row_check=options.row_check,
                seed=options.seed,
                dim=options.dim,
            ),
        )
        config = bundle.config
    files = export(config, engine=gateware.verilog(config))
    if bundle is not None and options.vectors:
        files = with_map(config, files | vectors(bundle, items=options.vectors, seed=options.seed))
    if options.kernel:
        added = kernel_files(config, boards.find(options.card), files)
        files = with_map(config, files | added)
    replace_folder(options.output, {name: text.encode() for name, text in files.items()}, previous=written)
    _report(config, files, options)
    return 0


def vectors(bundle: Bundle, *, items: int, seed: int) -> dict[str, str]:
    """Files of a testbench with random items whose results are the golden model's."""
    config = bundle.config
    sparse = make_ids(bundle.shape, items=items, traffic="uniform", seed=seed)
    dense = np.random.default_rng([seed, 0]).standard_normal((items, config.dense), np.float32)
    given = dense if config.dense else None
    golden = bundle.golden().run(sparse, given)
    results: list[dict[int | str, int]] = [
        {"tag": tag, "logit": int(logit), "score": int(score) if config.sigmoid else 0}
        for tag, (logit, score) in enumerate(zip(golden.logits, golden.scores16, strict=True))
    ]
    return testbench(
        config,
        load=load_beats(config, bundle.engine_model, bundle.rows, bundle.user),
        packets=bundle.packets(sparse, given),
        reads=channel_reads(config, bundle.table_ids(sparse), bundle.rows),
        results=results,
        users=(),
    )


def read_configuration(path: Path) -> EngineConfig:
    """The engine's configuration in a JSON file; raises InputError, naming the file, if there is none."""
    try:
        return EngineConfig.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UNREADABLE as error:
        raise InputError(f"{path}: is not a configuration: {error}") from error


def _of_configuration(path: Path, options: VerilogOptions) -> tuple[EngineConfig, Bundle | None]:
    """The configuration at `path`, and a model for it with random weights if there are vectors to compute."""
    if options.config is not None:
        raise InputError(f"{path} is a configuration already: config must not be given, not {options.config!r}")
    if options.row_check:
        raise InputError(f"{path} is a configuration already: it says whether rows are checked, by check_bits")
    config = read_configuration(path)
    if options.precision not in (None, config.precision):
        raise InputError(f"{path} is for precision {config.precision}, not {options.precision!r}")
    if not options.vectors:
        return config, None
    if config.dense:
        raise InputError(f"{path} has dense features: for vectors give its model as module.py:factory")
    shape = ModelShape(
        name=config.name,
        features=config.features,
        hidden=config.hidden,
        output=config.output,
        sigmoid=config.sigmoid,
    )
    spec = zoo.ZooModel(shape=shape, seed=options.seed)
    return config, compiler.compile(spec, board=options.card, precision=config.precision, config=config)


def written(folder: Path) -> list[str] | None:
    """Names of the files that an earlier export wrote to `folder`; None if there was none."""
    try:
        return [*msgspec.json.decode((folder / MAP).read_bytes(), type=_Map).files, MAP]
    except (OSError, *UNREADABLE):
        return None


class _Map(msgspec.Struct):
    """What is read of an earlier export's map."""

    module: str
    digest: str
    files: dict[str, str]


def _report(config: EngineConfig, files: dict[str, str], options: VerilogOptions) -> None:
    console = Console(highlight=False, soft_wrap=True)
    size = sum(len(text) for text in files.values()) / 1e6
    console.print(f"{module_name(config)}: {len(files)} files, {size:.1f} MB, in {options.output}")
    if options.vectors:
        console.print(f"simulate: cd {options.output} && iverilog -g2005 -s {TOP} -o {TOP} *.v && vvp {TOP} +fast")

"""What is synthesised: an engine's kernel or an edge unit, of a model or a configuration by name."""

import dataclasses
from pathlib import Path

import msgspec

from microduet import compiler, gateware
from microduet.errors import InputError
from microduet.presets import compile_config
from microduet.synth.modules import Design
from microduet_hw.config import EngineConfig
from microduet_hw.export import export, module_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Verilog and the module that is the whole.

    Members
    -------
    name : of the configuration
    model, precision : None for a configuration's and for an edge unit
    """

    name: str
    design: Design
    top: str
    model: str | None = None
    precision: str | None = None


def target(name: str, *, precision: str | None, config: str | None, board: str, dim: int) -> Target:
    """The target called `name`: a model, an edge unit (``rm1-edge``) or the path of an engine's configuration.

    Raises
    ------
    ModelError, InputError
        If there is no such model or file, or an option does not go with it.
    """
    if name.endswith("-edge"):
        return _edge(name)
    if name.endswith(".json") and (found := _config(Path(name))) is not None:
        if config is not None or precision not in (None, found.precision):
            raise InputError(f"{name} is a configuration already: config and precision must not be given")
        return _engine(found, None)
    shape = compiler.shape_of(name, dim=dim)
    return _engine(compile_config(shape, board=board, precision=precision or "fixed16", config=config), name)


def _config(path: Path) -> EngineConfig | None:
    """The configuration in a file; None if it is the description of a model."""
    try:
        return EngineConfig.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError):
        return None


def _engine(config: EngineConfig, model: str | None) -> Target:
    files = export(config, engine=gateware.verilog(config))
    texts = [text for name, text in files.items() if name.endswith(".v")]
    return Target(
        name=config.name, design=Design(texts), top=module_name(config), model=model, precision=config.precision
    )


def _edge(name: str) -> Target:
    from microduet.duet.configure import edge_config
    from microduet.edge.compile import spec_of
    from microduet_hw.edge.export import MODULE

    spec = spec_of(name)
    assert spec.split is not None, "an edge unit is of a split model"
    config = edge_config(spec.shape, spec.split)
    return Target(name=config.name, design=Design(gateware.verilog(config).values()), top=MODULE)

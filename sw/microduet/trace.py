"""Recognises a user's torch module: lookups, one concatenation, Linear and ReLU layers, an optional sigmoid."""

import importlib.util
import itertools
import sys
from pathlib import Path

import torch
import torch.fx

from microduet.errors import ModelError
from microduet.generated import GeneratedTable
from microduet.models.embedding import GeneratedEmbedding
from microduet.shape import ModelShape
from microduet.trace_nodes import Interpreter
from microduet.trace_values import Activations, Lookup, Vector, refuse
from microduet.traced import StoredTable, Table, TracedModel
from microduet_hw.config import Feature, Layer


def trace(module: object, *, name: str | None = None) -> TracedModel:
    """What `module` computes, if the engine can.

    ``forward(sparse, dense=None)`` may take columns or column slices of `sparse`, look them up in nn.Embedding,
    nn.EmbeddingBag (mode "sum") or GeneratedEmbedding, sum the lookups of a table, concatenate everything once in any
    order together with `dense`, and apply nn.Linear and ReLU layers. The last layer has one output, perhaps with a
    sigmoid, or two, which are scored by ``sigmoid(z1 - z0)``. Reshapes may stand anywhere. An attribute `lookups` of
    the module says how many columns `sparse` has where a slice leaves it open.

    Raises
    ------
    ModelError
        Names the first node that is not supported, and the nearest that is.
    """
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"a model must be a torch.nn.Module, not {type(module).__name__}")
    name = name or str(getattr(module, "name", "") or type(module).__name__)
    graph = _graph(module, name)
    result = Interpreter(module, graph).run()
    if not isinstance(result, Activations):
        found = getattr(result, "what", "nothing")
        raise ModelError(f"{name}: forward must end in a Linear layer with one output or two, not in {found}")
    _check_head(name, result)
    return _assemble(name, result)


def load(reference: str) -> TracedModel:
    """The model that ``module.py:factory`` makes: a path, a colon, a function without arguments.

    Raises
    ------
    ModelError
        If the file or the function is missing or fails, or the model is not supported.
    """
    path, _, factory = reference.rpartition(":")
    file = Path(path)
    if not path or not factory.isidentifier():
        raise ModelError(f"a model of your own is given as module.py:factory, not {reference!r}")
    if not file.is_file():
        raise ModelError(f"{file}: no such file")
    spec = importlib.util.spec_from_file_location(f"microduet_user_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ModelError(f"{file}: is not a Python file")
    namespace = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = namespace
    try:
        spec.loader.exec_module(namespace)
    except Exception as error:
        raise ModelError(f"{file}: {type(error).__name__}: {error}") from error
    function = getattr(namespace, factory, None)
    if not callable(function):
        raise ModelError(f"{file}: has no function {factory!r}")
    try:
        module = function()
    except Exception as error:
        raise ModelError(f"{reference}: {type(error).__name__}: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"{reference}: must return a torch.nn.Module, not {type(module).__name__}")
    return trace(module)


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, GeneratedEmbedding) or super().is_leaf_module(m, module_qualified_name)


def _graph(module: torch.nn.Module, name: str) -> torch.fx.Graph:
    try:
        return _Tracer().trace(module)
    except Exception as error:  # whatever the user's forward does with a symbolic value
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{name}: forward cannot be traced, its steps must not depend on values: {line}") from error


def _check_head(name: str, result: Activations) -> None:
    outputs = result.linears[-1].out_features
    if outputs not in (1, 2):
        raise ModelError(f"{name}: the last Linear layer must have one output or two, not {outputs}")
    if result.relus[-1]:
        raise ModelError(f"{name}: a ReLU after the last layer is not supported; the nearest that is: nn.Sigmoid")


def _assemble(name: str, result: Activations) -> TracedModel:
    vector = result.vector
    lookups = sorted((piece for piece in vector.pieces if isinstance(piece, Lookup)), key=lambda piece: piece.columns)
    _check_columns(name, lookups)
    dense = sum(piece.width or 0 for piece in vector.pieces if not isinstance(piece, Lookup))
    positions = _positions(vector)
    features = tuple(
        Feature(rows=rows, dim=dim, lookups=len(piece.columns), position=positions[id(piece)])
        for piece in lookups
        for rows, dim in [table_size(piece.table)]
    )
    linears = list(result.linears)
    sigmoid = result.sigmoid
    weights = [linear.weight.detach().float().numpy() for linear in linears]
    biases = [
        linear.weight.new_zeros(linear.out_features).float().numpy()
        if linear.bias is None  # pyright: ignore[reportUnnecessaryComparison]
        else linear.bias.detach().float().numpy()
        for linear in linears
    ]
    if linears[-1].out_features == 2:
        weights[-1], biases[-1] = weights[-1][1:] - weights[-1][:1], biases[-1][1:] - biases[-1][:1]
        sigmoid = True
    layers = [
        Layer(inputs=weight.shape[1], outputs=weight.shape[0], relu=relu)
        for weight, relu in zip(weights, result.relus, strict=True)
    ]
    shape = ModelShape(
        name=name,
        features=features,
        dense=dense,
        dense_position=next((positions[id(p)] for p in vector.pieces if not isinstance(p, Lookup)), 0),
        hidden=tuple(layers[:-1]),
        output=layers[-1],
        sigmoid=sigmoid,
    )
    tables = tuple(table_of(piece.table) for piece in lookups)
    return TracedModel(shape=shape, tables=tables, weights=tuple(weights), biases=tuple(biases))


def _positions(vector: Vector) -> dict[int, int]:
    ends = itertools.accumulate(piece.size or 0 for piece in vector.pieces)
    return {id(piece): end - (piece.size or 0) for piece, end in zip(vector.pieces, ends, strict=True)}


def _check_columns(name: str, lookups: list[Lookup]) -> None:
    if not lookups:
        raise ModelError(f"{name}: forward looks nothing up; the engine needs at least one embedding")
    expected = 0
    for piece in lookups:
        for column in piece.columns:
            if column != expected:
                what = f"{column} of sparse is used twice" if column < expected else f"{expected} of sparse is not used"
                raise ModelError(f"{name}: column {what}; forward must use each column once")
            expected += 1


def table_size(table: torch.nn.Module) -> tuple[int, int]:
    """Rows and dim of an embedding module."""
    if isinstance(table, GeneratedEmbedding):
        return table.rule.rows, table.rule.dim
    if isinstance(table, torch.nn.Embedding | torch.nn.EmbeddingBag):
        return table.num_embeddings, table.embedding_dim
    raise refuse(table, what=type(table).__name__, nearest="nn.Embedding")


def table_of(table: torch.nn.Module) -> Table:
    """An embedding module as the compiler sees it: a rule, or stored rows."""
    if isinstance(table, GeneratedEmbedding):
        rule: GeneratedTable = table.rule
        return rule
    weight = table.weight
    assert isinstance(weight, torch.Tensor)
    return StoredTable(weight=weight)

"""Walks a traced graph, node by node, with the values of `trace_values`."""

import operator
import typing

import torch
import torch.fx
import torch.nn.functional as F

from microduet.models.embedding import GeneratedEmbedding
from microduet.trace_shapes import concatenate, reshape, select, slice_ids, sum_lookups
from microduet.trace_values import Activations, BatchSize, Dense, Ids, Lookup, Sizes, Value, Vector, refuse

RELUS = {torch.nn.ReLU, F.relu, torch.relu, torch.relu_, "relu", "relu_"}
SIGMOIDS = {torch.nn.Sigmoid, torch.sigmoid, F.sigmoid, "sigmoid"}
SOFTMAXES = {torch.nn.Softmax, torch.softmax, F.softmax, "softmax"}
NOTHINGS = {
    torch.nn.Identity, torch.nn.Dropout, F.dropout, "contiguous", "float", "long", "int", "detach", "clone", "to",
}  # fmt: skip
"""What leaves values as they are: dropout does, outside training; the engine has its own types."""
RESHAPES = {
    torch.nn.Flatten, torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze,
    "flatten", "reshape", "view", "squeeze", "unsqueeze",
}  # fmt: skip
JOINS = {torch.cat, torch.concat, torch.concatenate, torch.stack, torch.hstack}
SUMS = {torch.sum, "sum"}
LOOKUPS = (torch.nn.Embedding, torch.nn.EmbeddingBag, GeneratedEmbedding)

NEAREST = {
    "relu": (
        "gelu",
        "silu",
        "elu",
        "leaky_relu",
        "leakyrelu",
        "prelu",
        "tanh",
        "selu",
        "hardtanh",
        "relu6",
        "softplus",
    ),
    "nn.Linear": ("norm", "conv", "bilinear", "linear", "matmul", "bmm", "addmm", "attention", "lstm", "gru", "einsum"),
    "a sum over the lookups of one table (nn.EmbeddingBag, mode='sum')": ("mean", "max", "amax", "prod"),
    "torch.cat": ("add", "mul", "sub", "div", "dot", "truediv"),
    "nn.Sigmoid on the only output": ("softmax", "log_softmax", "logsigmoid"),
}


class Interpreter:
    """Gives every node of a graph a value.

    Parameters
    ----------
    module, graph : the model and its trace
    """

    def __init__(self, module: torch.nn.Module, graph: torch.fx.Graph) -> None:
        self._module, self._graph = module, graph
        self._values: dict[torch.fx.Node, Value] = {}
        self._arguments = 0
        self._lookups = getattr(module, "lookups", None)

    def run(self) -> typing.Any:
        """The value of the output node."""
        for node in self._graph.nodes:
            if node.op == "output":
                return self._value(node.args[0], node)
            self._values[node] = self._node(node)
        raise AssertionError("a graph has an output")

    def _node(self, node: torch.fx.Node) -> Value:
        match node.op:
            case "placeholder":
                return self._placeholder(node)
            case "call_module":
                return self._call_module(node, self._module.get_submodule(str(node.target)))
            case "call_function" if node.target in (getattr, operator.getitem):
                return self._item(node)
            case "call_function" | "call_method":
                return self._call(node, node.target)
            case _:
                raise refuse(node.name, what=f"a parameter used outside a layer ({node.target})", nearest="nn.Linear")

    def _placeholder(self, node: torch.fx.Node) -> Value:
        self._arguments += 1
        if self._arguments == 1:
            columns = tuple(range(self._lookups)) if isinstance(self._lookups, int) else None
            return Ids(columns=columns, flat=False)
        if self._arguments == 2:
            return Vector(pieces=(Dense(),), shape=(None,))
        raise refuse(node.name, what="a third argument of forward", nearest="forward(sparse, dense=None)")

    def _call_module(self, node: torch.fx.Node, module: torch.nn.Module) -> Value:
        value = self._value(node.args[0] if node.args else None, node)
        if isinstance(module, LOOKUPS):
            return self._lookup(node, module, value)
        if isinstance(module, torch.nn.Linear):
            return _linear(node, module, value)
        if isinstance(module, torch.nn.Flatten):
            return reshape(node, value, "flatten", [module.start_dim, module.end_dim])
        return self._apply(node, type(module), value)

    def _call(self, node: torch.fx.Node, target: typing.Any) -> Value:
        if target in JOINS:
            pieces = [self._value(argument, node) for argument in typing.cast("list[object]", node.args[0])]
            dim = 1 if target is torch.hstack else _argument(node, 1, "dim", 0)
            return concatenate(node, pieces, dim=dim, stack=target is torch.stack)
        value = self._value(node.args[0] if node.args else None, node)
        if target in SUMS:
            return sum_lookups(
                node, value, dim=_argument(node, 1, "dim", None), keep=_argument(node, 2, "keepdim", False)
            )
        if target in RESHAPES:
            name = target if isinstance(target, str) else target.__name__
            arguments = [self._value(argument, node) for argument in _flat([*node.args[1:], *node.kwargs.values()])]
            return reshape(node, value, name, arguments)
        if target == "size":
            return self._item(node)
        return self._apply(node, target, value)

    def _apply(self, node: torch.fx.Node, target: typing.Any, value: Value) -> Value:
        """What has one operand and leaves its shape."""
        if target in NOTHINGS:
            return value
        if isinstance(value, Activations):
            if target in RELUS:
                return _relu(node, value)
            if target in SIGMOIDS:
                return _sigmoid(node, value)
            if target in SOFTMAXES and value.shape == (2,):
                return _replace(value, chosen=True)
        elif target in RELUS | SIGMOIDS:
            raise refuse(node.name, what=f"{_name(target)} of {_describe(value)}", nearest="after an nn.Linear")
        raise refuse(node.name, what=_name(target), nearest=_nearest(_name(target)))

    def _lookup(self, node: torch.fx.Node, module: torch.nn.Module, value: Value) -> Value:
        if not isinstance(value, Ids):
            raise refuse(node.name, what=f"a lookup by {_describe(value)}", nearest="columns of sparse: sparse[:, a:b]")
        _check_table(node, module, arguments=len(node.args) + len(node.kwargs))
        if value.columns is None:
            raise refuse(
                node.name,
                what="a lookup by all of sparse",
                nearest="sparse[:, a:b] with both ends, or an attribute `lookups` that says how many columns there are",
            )
        bag = isinstance(module, torch.nn.EmbeddingBag)
        if bag and value.flat:
            raise refuse(node.name, what="nn.EmbeddingBag of one column", nearest="sparse[:, a:b]")
        dim = module.rule.dim if isinstance(module, GeneratedEmbedding) else int(typing.cast(int, module.embedding_dim))
        if bag:
            return Vector(pieces=(Lookup(table=module, columns=value.columns, size=dim),), shape=(dim,))
        pieces = tuple(Lookup(table=module, columns=(column,), size=dim) for column in value.columns)
        return Vector(pieces=pieces, shape=(dim,) if value.flat else (len(pieces), dim))

    def _item(self, node: torch.fx.Node) -> Value:
        """``x.shape``, ``x.size(0)``, ``x.shape[0]``, ``sparse[:, 3]``, ``z[:, 1]``."""
        value = self._value(node.args[0], node)
        key = node.args[1] if len(node.args) > 1 else "shape"
        if key == "shape" and isinstance(value, Ids | Vector | Activations):
            return Sizes(shape=(None,) if isinstance(value, Ids) else value.shape)
        if node.target == "size" and isinstance(value, Vector | Activations | Ids):
            value = Sizes(shape=(None,) if isinstance(value, Ids) else value.shape)
        if isinstance(value, Sizes) and isinstance(key, int):
            return BatchSize() if key == 0 else value.shape[key - 1 if key > 0 else key]
        if isinstance(value, Ids):
            return slice_ids(node, value, key)
        if isinstance(value, Activations):
            return select(node, value, key)
        raise refuse(node.name, what=f"{key!r} of {_describe(value)}", nearest="a column of sparse: sparse[:, a]")

    def _value(self, argument: object, node: torch.fx.Node) -> Value:
        if isinstance(argument, torch.fx.Node):
            return self._values[argument]
        if argument is None or isinstance(argument, int):
            return argument
        raise refuse(node.name, what=f"the argument {argument!r}", nearest="one tensor")


def _linear(node: torch.fx.Node, module: torch.nn.Linear, value: Value) -> Value:
    if isinstance(value, Activations):
        if value.sigmoid or value.chosen:
            raise refuse(node.name, what="nn.Linear after a sigmoid", nearest="nn.Linear after ReLU")
        if value.shape[-1:] != (value.linears[-1].out_features,):
            raise refuse(node.name, what=f"nn.Linear of shape {value.shape}", nearest="of (items, features)")
        shape = (*value.shape[:-1], module.out_features)
        return _replace(value, linears=(*value.linears, module), relus=(*value.relus, False), shape=shape)
    if not isinstance(value, Vector):
        raise refuse(node.name, what=f"nn.Linear of {_describe(value)}", nearest="of the concatenated embeddings")
    if any(size != 1 for size in value.shape[:-1]):
        raise refuse(node.name, what=f"nn.Linear of shape {value.shape}", nearest="flatten(1) before it")
    known = sum(piece.size or 0 for piece in value.pieces)
    unknown = [piece for piece in value.pieces if isinstance(piece, Dense)]
    if len(unknown) > 1:
        raise refuse(node.name, what="dense features used twice", nearest="once")
    if unknown:
        unknown[0].width = module.in_features - sum(p.size for p in value.pieces if isinstance(p, Lookup))
    elif known != module.in_features:
        raise refuse(node.name, what=f"nn.Linear({module.in_features}, ...) of {known} elements", nearest="equal sizes")
    if unknown and (unknown[0].width or 0) < 1:
        raise refuse(
            node.name, what=f"nn.Linear({module.in_features}, ...) of {known} elements and dense", nearest="more"
        )
    if not any(isinstance(piece, Lookup) for piece in value.pieces):
        raise refuse(node.name, what="nn.Linear of the dense features alone", nearest="of everything, concatenated")
    shape = (*value.shape[:-1], module.out_features)
    return Activations(vector=value, linears=(module,), relus=(False,), shape=shape)


def _relu(node: torch.fx.Node, value: Activations) -> Value:
    if value.sigmoid or value.chosen:
        raise refuse(node.name, what="ReLU after a sigmoid", nearest="ReLU after nn.Linear")
    return _replace(value, relus=(*value.relus[:-1], True))


def _sigmoid(node: torch.fx.Node, value: Activations) -> Value:
    if value.sigmoid or value.chosen or value.linears[-1].out_features != 1:
        raise refuse(
            node.name,
            what=f"a sigmoid of {value.linears[-1].out_features} outputs",
            nearest="one sigmoid of the only output",
        )
    return _replace(value, sigmoid=True)


def _check_table(node: torch.fx.Node, module: torch.nn.Module, *, arguments: int) -> None:
    if arguments > 1:
        raise refuse(node.name, what="offsets or weights of nn.EmbeddingBag", nearest="ids of shape (items, lookups)")
    if getattr(module, "max_norm", None) is not None:
        raise refuse(node.name, what="max_norm", nearest=f"{type(module).__name__} without it")
    if isinstance(module, torch.nn.EmbeddingBag):
        if module.mode != "sum":
            raise refuse(node.name, what=f"nn.EmbeddingBag of mode {module.mode!r}", nearest="mode 'sum'")
        if module.padding_idx is not None:  # pyright: ignore[reportUnnecessaryComparison]
            raise refuse(node.name, what="padding_idx of nn.EmbeddingBag", nearest="a row of zeros")


def _argument(node: torch.fx.Node, place: int, name: str, default: typing.Any) -> typing.Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _flat(arguments: typing.Iterable[object]) -> list[object]:
    return [a for argument in arguments for a in (argument if isinstance(argument, tuple | list) else (argument,))]


def _replace(value: Activations, **changes: typing.Any) -> Activations:
    import dataclasses

    return dataclasses.replace(value, **changes)


def _name(target: typing.Any) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))


def _describe(value: Value) -> str:
    return "a number" if isinstance(value, int) else "nothing" if value is None else value.what


def _nearest(name: str) -> str:
    for supported, words in NEAREST.items():
        if any(word in name.lower() for word in words):
            return "nn.ReLU" if supported == "relu" else supported
    return "nn.Embedding, nn.EmbeddingBag, torch.cat, nn.Linear, nn.ReLU, nn.Sigmoid and reshapes"

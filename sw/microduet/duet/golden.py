"""The golden user model: an edge unit's arithmetic on whole batches of users, written from its definition.

It shares no code with the gateware's own references; it takes the frozen configuration and the quantised weights.
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from microduet.errors import InputError
from microduet.golden import GoldenLayer
from microduet_hw.config import Precision
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.model import EdgeModel
from microduet_hw.quantised import QuantisedLayer
from microduet_hw.stack import Stack

MEMO_USERS = 1 << 17
"""Users that a memo holds before it starts anew: some 100 bytes each and their outputs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserResult:
    """Integers of every stage, for a batch of users.

    Members
    -------
    sums : int64 (users, pooled elements), the histories' running sums
    static, dynamic : per layer int64 (users, outputs), of the bottom MLPs; () for a model without
    inputs : int64 (users, elements), what the top MLP reads, 0 to 255
    top : per layer int64 (users, outputs), 0 to 255
    """

    sums: npt.NDArray[np.int64]
    static: tuple[npt.NDArray[np.int64], ...]
    dynamic: tuple[npt.NDArray[np.int64], ...]
    inputs: npt.NDArray[np.int64]
    top: tuple[npt.NDArray[np.int64], ...]

    @property
    def payload(self) -> npt.NDArray[np.uint8]:
        """uint8 (users, payload bytes): the user vector as it is sent."""
        return self.top[-1].astype(np.uint8)


class GoldenUser:
    """The golden model of one edge unit.

    Parameters
    ----------
    config, model : of the edge unit
    """

    def __init__(self, *, config: EdgeConfig, model: EdgeModel) -> None:
        self._config, self._model = config, model
        self._static = _layers(config.static, model.static)
        self._dynamic = _layers(config.dynamic, model.dynamic)
        self._top = _layers(config.top, model.top)

    def run(
        self,
        histories: Sequence[npt.NDArray[np.int64]],
        static: npt.NDArray[np.int64] | None = None,
        context: npt.NDArray[np.int64] | None = None,
    ) -> UserResult:
        """Every stage of a batch of users.

        Parameters
        ----------
        histories : per group int64 (users, entries, elements), at most as many entries as the group has slots
        static, context : int64 (users, columns), 16 bits signed; None for a unit without that bottom MLP

        Raises
        ------
        InputError
            If a shape is not the configuration's, or a number has too many bits.
        """
        self._check(histories)
        return self.run_sums(np.concatenate([entries.sum(axis=1) for entries in histories], axis=1), static, context)

    def run_sums(
        self,
        sums: npt.NDArray[np.int64],
        static: npt.NDArray[np.int64] | None = None,
        context: npt.NDArray[np.int64] | None = None,
        memo: "StaticMemo | None" = None,
    ) -> UserResult:
        """The same of histories that are summed already: int64 (users, pooled elements).

        With a `memo` users whose static inputs were seen before are not computed again; the result then has the static
        bottom MLP's last layer only.
        """
        config, users = self._config, len(sums)
        elements = sum(group.elements for group in config.histories)
        if sums.shape != (users, elements):
            raise InputError(f"sums must be ({users}, {elements}), not {sums.shape}")
        static = _checked("static", config.static, static, users)
        known = self.static if memo is None else memo.outputs
        first = known(static)
        second = _run(self._dynamic, _checked("context", config.dynamic, context, users))
        bottom = [stage[-1] for stage in (first, second) if stage]
        inputs = np.concatenate(
            [
                self.quantised(sums, self._model.pooled_multiplier),
                *(self.quantised(values, self._model.bottom_multiplier) for values in bottom),
            ],
            axis=1,
        )
        return UserResult(sums=sums, static=first, dynamic=second, inputs=inputs, top=_run(self._top, inputs))

    def static(self, values: npt.NDArray[np.int64] | None) -> tuple[npt.NDArray[np.int64], ...]:
        """Outputs of every layer of the static bottom MLP, () without one."""
        return _run(self._static, values)

    def quantised(self, values: npt.NDArray[np.int64], multiplier: np.float32) -> npt.NDArray[np.int64]:
        """``clip(rint(f32(f32(v) m)) + zero_point, 0, 255)`` in the machine's single precision, rounding half to even.

        Values are below 2^52 in magnitude.
        """
        found = np.rint(values.astype(np.float32) * multiplier).astype(np.int64)
        return np.clip(found + self._model.zero_point, 0, 255)

    def _check(self, histories: Sequence[npt.NDArray[np.int64]]) -> None:
        config = self._config
        if len(histories) != len(config.histories):
            raise InputError(f"histories must be {len(config.histories)} arrays, not {len(histories)}")
        users = len(histories[0])
        limit = 1 << (config.element_bits - 1)
        for number, (entries, group) in enumerate(zip(histories, config.histories, strict=True)):
            if entries.ndim != 3 or entries.shape[0] != users or entries.shape[2] != group.elements:
                raise InputError(f"history {number} must be ({users}, entries, {group.elements}), not {entries.shape}")
            if entries.shape[1] > group.slots:
                raise InputError(f"history {number} keeps {group.slots} entries, not {entries.shape[1]}")
            if entries.size and (entries.min() < -limit or entries.max() >= limit):
                raise InputError(f"history {number} has elements of more than {config.element_bits} bits")


class StaticMemo:
    """Outputs of a golden model's static bottom MLP, kept by its inputs, as the device keeps its own user's.

    Parameters
    ----------
    golden : whose outputs they are
    """

    def __init__(self, golden: GoldenUser) -> None:
        self._golden = golden
        self._places: dict[bytes, int] = {}
        self._outputs: npt.NDArray[np.int64] | None = (
            None  # one block: many small ones would keep the heap from shrinking
        )

    def outputs(self, values: npt.NDArray[np.int64] | None) -> tuple[npt.NDArray[np.int64], ...]:
        """The last layer's, int64 (users, outputs), as a tuple of one; () without such an MLP."""
        if values is None:
            return ()
        if len(values) > MEMO_USERS:
            return self._golden.static(values)[-1:]
        keys = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in values]
        new = [number for number, key in enumerate(keys) if key not in self._places]
        if len(self._places) + len(new) > MEMO_USERS:
            self._places.clear()
            new = list(range(len(keys)))
        if new or self._outputs is None:
            found = self._golden.static(values[new])[-1]
            if self._outputs is None:
                self._outputs = np.empty((MEMO_USERS, found.shape[1]), np.int64)
            for number, output in zip(new, found, strict=True):
                self._outputs[self._places.setdefault(keys[number], len(self._places))] = output
        return (self._outputs[[self._places[key] for key in keys]],)


def _layers(stack: Stack | None, layers: tuple[QuantisedLayer, ...]) -> tuple[GoldenLayer, ...]:
    if stack is None:
        return ()
    return tuple(
        GoldenLayer(layer, precision=stack.precision, inputs=shape.inputs, logit=False)
        for layer, shape in zip(layers, stack.layers, strict=True)
    )


def _run(layers: tuple[GoldenLayer, ...], values: npt.NDArray[np.int64] | None) -> tuple[npt.NDArray[np.int64], ...]:
    outputs: list[npt.NDArray[np.int64]] = []
    if values is not None:
        batch = torch.from_numpy(values)
        for layer in layers:
            batch, _ = layer(batch)
            outputs.append(batch.numpy())
    return tuple(outputs)


def _checked(
    name: str, stack: Stack | None, values: npt.NDArray[np.int64] | None, users: int
) -> npt.NDArray[np.int64] | None:
    wanted = None if stack is None else (users, stack.inputs)
    found = None if values is None else values.shape
    if found != wanted:
        raise InputError(f"{name} must be {wanted}, not {found}")
    limit = 1 << (Precision.FIXED16.width - 1)
    if values is not None and values.size and (values.min() < -limit or values.max() >= limit):
        raise InputError(f"{name} must fit 16 bits")
    return values

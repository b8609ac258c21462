"""Item packets: what a batch looks like on the engine's input stream."""

import dataclasses

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet_hw.config import EngineConfig
from microduet_hw.lookup.geometry import dense_beats, index_beats, packet_words
from microduet_hw.status import QUERY

BEAT_WORDS = 16
"""Words of 32 bits in a beat of 512 bits."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ItemQuery:
    """The query that a batch of items is of.

    Parameters
    ----------
    number, slot : of the query: 16 bits, and one of the engine's slots
    scores : whether each item's own result is wanted beside the answer
    last : whether the batch's last item is the query's
    """

    number: int
    slot: int = 0
    scores: bool = False
    last: bool = True

    def words(self, config: EngineConfig, items: int) -> npt.NDArray[np.uint32]:
        """The second word of every item's packet: uint32 (items,).

        Raises
        ------
        InputError
            If the engine has no such slot, or the number has more than 16 bits.
        """
        slots = config.user.slots if config.user else 0
        if not 0 <= self.slot < slots:
            raise InputError(f"slot must be 0 to {slots - 1}, not {self.slot!r}")
        if not 0 <= self.number < 1 << 16:
            raise InputError(f"the number of a query must be 0 to 65535, not {self.number!r}")
        fields: dict[int | str, int] = {"number": self.number, "slot": self.slot, "scores": self.scores, "last": 0}
        words = np.full(items, QUERY.const(fields).as_bits(), np.uint32)
        if self.last and items:
            words[-1] = QUERY.const(fields | {"last": 1}).as_bits()
        return words


def packet_beats(config: EngineConfig) -> int:
    """Beats of one item: header words, indices at their `packet_words`, then the dense elements on fresh beats."""
    return index_beats(config) + dense_beats(config)


def pack_items(
    config: EngineConfig,
    *,
    sparse: npt.NDArray[np.int64],
    dense: npt.NDArray[np.int64] | None = None,
    tags: npt.NDArray[np.integer] | None = None,
    query: ItemQuery | None = None,
) -> npt.NDArray[np.uint32]:
    """Packets of a batch: uint32 (items, beats * 16), the first beat's lowest word first.

    Parameters
    ----------
    sparse : ids, int64 (items, lookups), already checked
    dense : quantised integers, int64 (items, D)
    tags : unsigned, (items,); by default 0, 1, 2, ...
    query : that the items are of, for an engine that takes user vectors and no other

    Raises
    ------
    InputError
        If a query is missing, or given to an engine without users, or does not fit.
    """
    if (query is None) != (config.user is None):
        raise InputError(f"{config.name} takes {'items of queries' if config.user else 'no queries'}")
    items = len(sparse)
    words = np.zeros((items, packet_beats(config) * BEAT_WORDS), np.uint32)
    words[:, 0] = np.arange(items) if tags is None else tags
    if query is not None:
        words[:, 1] = query.words(config, items)
    words[:, list(packet_words(config))] = sparse
    if config.dense and dense is not None:
        first = index_beats(config) * BEAT_WORDS
        kind = "i" if config.precision.signed else "u"
        packed = np.ascontiguousarray(dense.astype(f"<{kind}{config.precision.width // 8}")).view(np.uint8)
        words.view(np.uint8)[:, first * 4 : first * 4 + packed.shape[1]] = packed
    return words

"""Item packets: what a batch looks like on the engine's input stream."""

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig
from microduet_hw.lookup.geometry import dense_beats, index_beats, packet_words

BEAT_WORDS = 16
"""Words of 32 bits in a beat of 512 bits."""


def packet_beats(config: EngineConfig) -> int:
    """Beats of one item: header words, indices at their `packet_words`, then the dense elements on fresh beats."""
    return index_beats(config) + dense_beats(config)


def pack_items(
    config: EngineConfig,
    *,
    sparse: npt.NDArray[np.int64],
    dense: npt.NDArray[np.int64] | None = None,
    tags: npt.NDArray[np.integer] | None = None,
    queries: npt.NDArray[np.uint32] | None = None,
) -> npt.NDArray[np.uint32]:
    """Packets of a batch: uint32 (items, beats * 16), the first beat's lowest word first.

    Parameters
    ----------
    sparse : ids, int64 (items, lookups), already checked
    dense : quantised integers, int64 (items, D)
    tags : unsigned, (items,); by default 0, 1, 2, ...
    queries : uint32 (items,), which query each is of, for an engine with users; by default 0, to be filled in
    """
    items = len(sparse)
    words = np.zeros((items, packet_beats(config) * BEAT_WORDS), np.uint32)
    words[:, 0] = np.arange(items) if tags is None else tags
    if config.user is not None and queries is not None:
        words[:, 1] = queries
    words[:, list(packet_words(config))] = sparse
    if config.dense and dense is not None:
        first = index_beats(config) * BEAT_WORDS
        kind = "i" if config.precision.signed else "u"
        packed = np.ascontiguousarray(dense.astype(f"<{kind}{config.precision.width // 8}")).view(np.uint8)
        words.view(np.uint8)[:, first * 4 : first * 4 + packed.shape[1]] = packed
    return words

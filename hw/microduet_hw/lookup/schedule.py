"""When the indices of an item are dealt out: which source is given which word in which step."""

from microduet_hw.config import EngineConfig, Frozen
from microduet_hw.lookup.geometry import ITEM_WORDS, SourcePlan, dense_beats, index_beats, packet_positions

WINDOW = 8
"""Beats of an item that stay in sight while indices are dealt out, so that a bank with many small tables, which takes
one index per cycle, does not keep the memory channels waiting."""


class Step(Frozen, frozen=True, kw_only=True):
    """One cycle of dealing out an item."""

    beat: int
    """The newest beat of the window."""
    takes: bool
    """Whether this step is the first to see that beat."""
    words: dict[int, int]
    """For a source: the word it is given, 0-15 in the newest beat, 16-31 in the one before, and so on."""
    dense: int | None
    """Number of the beat of dense elements that this step hands on."""


def schedule(config: EngineConfig, plans: tuple[SourcePlan, ...]) -> tuple[Step, ...]:
    """The steps of dealing out an item: a source is given at most one index per step, its own in order.

    A beat stays in sight for as long as any source still waits for a word of it; with `WINDOW` beats in sight, a source
    that is given several words of one beat catches up later.
    """
    waiting = {plan.source: packet_positions(config, plan) for plan in plans}
    indices, total = index_beats(config), index_beats(config) + dense_beats(config)
    steps: list[Step] = []
    beat = -1
    while beat < total - 1 or any(waiting.values()):
        kept = (beat + 2 - WINDOW) * ITEM_WORDS
        takes = beat < total - 1 and all(not words or words[0] >= kept for words in waiting.values())
        beat += takes
        given: dict[int, int] = {}
        for source, words in waiting.items():
            if words and words[0] < (beat + 1) * ITEM_WORDS:
                age, word = beat - words[0] // ITEM_WORDS, words.pop(0) % ITEM_WORDS
                given[source] = age * ITEM_WORDS + word
        dense = beat - indices if takes and beat >= indices else None
        steps.append(Step(beat=beat, takes=takes, words=given, dense=dense))
    return tuple(steps)

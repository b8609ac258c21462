"""Random numbers that are functions of what they are for, so that any row can be drawn without those before it."""

import statistics

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

STEPS = 1 << 16
"""Steps of the tables that turn 16 random bits into a value of another distribution."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(words: Words) -> Words:
    """64 random bits for every word: the finaliser of SplitMix64 (Steele et al., OOPSLA 2014), a bijection."""
    words = words + _GOLDEN
    words ^= words >> np.uint64(30)
    words *= _FIRST
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)
    return words


def stream(seed: int, *labels: int) -> np.uint64:
    """The start of the random numbers for one purpose, named by `labels`."""
    state = np.array([seed % (1 << 64)], np.uint64)
    for label in labels:
        state = mix(state ^ mix(np.array([label % (1 << 64)], np.uint64)))
    return state[0]


def draw(start: np.uint64, counters: npt.NDArray[np.integer]) -> Words:
    """64 random bits for every counter; the same counter always gives the same bits."""
    return mix(counters.astype(np.uint64) * _GOLDEN ^ start)


def uniforms(words: Words) -> npt.NDArray[np.float64]:
    """Float64 in [0, 1), from the upper 53 bits."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal_steps() -> npt.NDArray[np.float32]:
    """Standard normal values of 2^16 equal steps, float32 (STEPS,)."""
    inverse = statistics.NormalDist().inv_cdf
    half = np.array([inverse((k + 0.5) / STEPS) for k in range(STEPS // 2)])
    return np.concatenate([half, -half[::-1]]).astype(np.float32)


class Zipf:
    """Ranks 0 to rows - 1 with P(rank) about proportional to (rank + 1)^-exponent.

    The density x^-exponent on [1, rows + 1) is inverted at 2^16 steps and taken as even inside each.

    Parameters
    ----------
    rows : at least 1
    exponent : 0 for uniform ranks
    """

    def __init__(self, rows: int, exponent: float) -> None:
        edges = np.arange(STEPS + 1) / STEPS
        power = 1 - exponent
        if abs(power) < 1e-9:
            values = np.exp(edges * np.log(rows + 1))
        else:
            values = (1 + edges * ((rows + 1) ** power - 1)) ** (1 / power)
        self.rows = rows
        self._low = (values[:-1] - 1).astype(np.float32)
        self._width = (np.diff(values) / STEPS).astype(np.float32)

    def ranks(self, words: Words) -> npt.NDArray[np.int32]:
        """A rank for every word, int32, from its lower 32 bits."""
        bits = words.astype(np.uint32)
        step = bits >> np.uint32(16)
        ranks = self._low.take(step)
        ranks += self._width.take(step) * (bits & np.uint32(STEPS - 1)).astype(np.float32)
        return np.minimum(ranks.astype(np.int32), np.int32(self.rows - 1))

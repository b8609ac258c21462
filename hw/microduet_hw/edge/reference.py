"""What the edge unit computes, in plain integers."""

from collections import deque
from collections.abc import Sequence

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import EdgeStatus, Kind, is_known, message_beats, message_elements


class HistoryReference:
    """The histories of one user: entries in lists, summed anew whenever they are asked for.

    Parameters
    ----------
    config : the unit's configuration
    """

    def __init__(self, config: EdgeConfig) -> None:
        self._config = config
        self._entries = [deque[list[int]](maxlen=history.slots) for history in config.histories]

    def click(self, group: int, entry: Sequence[int]) -> None:
        """Add an entry, all its tables' elements, table by table; the oldest is forgotten if there is no slot left.

        Raises
        ------
        ValueError
            If `entry` is not of the history's size or an element is not one of `config.element_bits`.
        """
        self._entries[group].append(self._checked(group, entry))

    def preload(self, group: int, entry: Sequence[int]) -> None:
        """Begin a new history with an entry; raises as `click`."""
        first = self._checked(group, entry)
        self._entries[group].clear()
        self._entries[group].append(first)

    def clear(self, group: int) -> None:
        """Forget a history."""
        self._entries[group].clear()

    def entries(self, group: int) -> list[list[int]]:
        """A history, the oldest entry first."""
        return [list(entry) for entry in self._entries[group]]

    def sums(self) -> list[int]:
        """The pooled histories: for every element of all histories, in order, the sum over the entries."""
        return [
            sum(entry[element] for entry in self._entries[group])
            for group, history in enumerate(self._config.histories)
            for element in range(history.elements)
        ]

    def _checked(self, group: int, entry: Sequence[int]) -> list[int]:
        elements, limit = self._config.histories[group].elements, 1 << self._config.element_bits - 1
        if len(entry) != elements:
            raise ValueError(f"an entry of history {group} must have {elements} elements, not {len(entry)}")
        if min(entry) < -limit or max(entry) >= limit:
            raise ValueError(f"elements must be {-limit} to {limit - 1}, not {min(entry)} to {max(entry)}")
        return [int(element) for element in entry]


def message_status(
    config: EdgeConfig,
    *,
    version: int,
    kind: int,
    group: int,
    elements: int,
    beats: int,
    own_version: int,
    gone: bool = False,
) -> EdgeStatus:
    """Why a message is refused, or OK.

    Parameters
    ----------
    config : the unit's configuration
    version, kind, group, elements : of its header
    beats : of data that came behind the header
    own_version : the unit's model version
    gone : the host stopped after so many beats, without TLAST
    """
    known = is_known(config, kind, group)
    wanted = (
        (message_elements(config, Kind(kind), group), message_beats(config, Kind(kind), group)) if known else (0, 0)
    )
    reasons = {
        EdgeStatus.STALE_VERSION: version != own_version,
        EdgeStatus.WRONG_COUNT: elements != wanted[0],
        EdgeStatus.SHORT_PACKET: beats < wanted[1] and not gone,
        EdgeStatus.LONG_PACKET: beats > wanted[1],
        EdgeStatus.UNKNOWN: not known,
        EdgeStatus.TIMEOUT: gone,
    }
    return EdgeStatus(sum(status for status, applies in reasons.items() if applies))

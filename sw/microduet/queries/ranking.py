"""What a session wants ranked, and what comes of it."""

import dataclasses
import enum
import typing

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet.inputs import check_batch
from microduet.queries.questions import check_tags

if typing.TYPE_CHECKING:
    from microduet.queries.device import QueryDevice
    from microduet.queries.session import Session


class QueryStatus(enum.StrEnum):
    """How a query ended; anything but OK concerns this query alone."""

    OK = "ok"
    NO_CANDIDATES = "no candidates"
    K_TOO_LARGE = "k is larger than the number of candidates, or than the engine keeps"
    BAD_TAGS = "tags are not a number of 32 bits for each candidate"
    DUPLICATE_TAGS = "two candidates have the same tag"
    BAD_CANDIDATES = "candidates have a wrong shape, or an id beyond its table"
    BAD_CONTEXT = "the context has a wrong size, or is not finite"
    EDGE_FAILED = "the edge unit refused"
    LINK_LOST = "the link lost the user vector"
    DISCONNECTED = "the user has gone"
    STALE_VERSION = "the user vector is of another model version"
    WRONG_LENGTH = "the user vector has another length"
    CHECKSUM = "the user vector was damaged"
    TIMEOUT = "the user vector did not come in time"
    ITEM_FAILED = "an item could not be looked up"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Microseconds of one query; all but `down_us` are within `total_us`.

    Members
    -------
    edge_us : from the context to the user vector
    link_us : from there to its arrival in the datacentre
    wait_us : from the arrival, or from the candidates if they are later, to the answer
    total_us : from the context to the top k in the datacentre
    down_us : the answer's way to the device, its embeddings included; None if it was lost
    """

    edge_us: float
    link_us: float
    wait_us: float
    total_us: float
    down_us: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranking:
    """The answer to a query.

    Members
    -------
    tags : uint32 (k,), the best candidates, best first
    scores : float32 (k,); logits int64 (k,): integers
    status : how the query ended; unless OK there are no results
    timing : None if the engine was not asked
    payload : uint8, the user vector; None if there was none
    up_bits, down_bits : on the link, retransmissions included
    own : of every candidate, int64 (n, 3) of logit, score in 2^-16, status; None if not asked for
    detail : one line on a failure
    """

    tags: npt.NDArray[np.uint32]
    scores: npt.NDArray[np.float32]
    logits: npt.NDArray[np.int64]
    status: QueryStatus
    timing: Timing | None = None
    payload: npt.NDArray[np.uint8] | None = None
    up_bits: int = 0
    down_bits: int = 0
    own: npt.NDArray[np.int64] | None = None
    detail: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What a session wants ranked.

    Members
    -------
    session : the user's
    candidates : int64 (n, the item's lookups)
    context : float32 (context inputs,)
    k : results wanted
    tags : uint32 (n,) names of the candidates; by default 0, 1, 2, ...
    entries : int64 (n, user features): what each leaves in a history if it is clicked; None if clicks bring their own
    at_us : when context and candidates are known, from the start of the batch
    leaves_us : when the user disconnects, or None
    """

    session: "Session"
    candidates: npt.NDArray[np.int64]
    context: npt.ArrayLike = ()
    k: int = 10
    tags: npt.NDArray[np.uint32] | None = None
    entries: npt.NDArray[np.int64] | None = None
    at_us: float = 0.0
    leaves_us: float | None = None
    scores: bool = False


def refusal(request: Request, engine: "QueryDevice") -> Ranking | None:
    """What can be seen to be wrong before anything is sent."""
    candidates = request.candidates
    if not len(candidates):
        return failed(QueryStatus.NO_CANDIDATES)
    try:
        check_batch(engine.bundle.shape, candidates)
    except InputError as error:
        return failed(QueryStatus.BAD_CANDIDATES, detail=str(error))
    if not 1 <= request.k <= min(len(candidates), engine.user.top_k):
        limit = min(len(candidates), engine.user.top_k)
        return failed(QueryStatus.K_TOO_LARGE, detail=f"k must be 1 to {limit}, not {request.k}")
    try:
        check_tags(tags_of(request), len(candidates))
    except InputError as error:
        return failed(QueryStatus.BAD_TAGS, detail=str(error))
    return None if len(np.unique(tags_of(request))) == len(candidates) else failed(QueryStatus.DUPLICATE_TAGS)


def failed(status: QueryStatus, *, detail: str = "") -> Ranking:
    """The answer of a query that got nowhere."""
    return Ranking(
        tags=np.zeros(0, np.uint32),
        scores=np.zeros(0, np.float32),
        logits=np.zeros(0, np.int64),
        status=status,
        detail=detail or str(status),
    )


def tags_of(request: Request) -> npt.NDArray[np.uint32]:
    """What the candidates are called."""
    return np.arange(len(request.candidates), dtype=np.uint32) if request.tags is None else request.tags

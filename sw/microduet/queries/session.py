"""A user's session: clicks and contexts on the device, candidates in the datacentre, a link between."""

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.edge.device import EdgeDevice
from microduet.errors import DeviceError, InputError
from microduet.queries.histories import Entry, Histories, entry_bytes
from microduet.queries.questions import Question, Reply, UserMessage
from microduet.queries.ranking import QueryStatus, Ranking, Request, Timing, failed, refusal, tags_of
from microduet_hw.status import UserStatus
from microduet_sim.link import Delivery, Direction, Link

if typing.TYPE_CHECKING:
    from microduet.queries.device import QueryDevice

HEADER_BYTES = 16
"""Of a user vector on the link: version, scale, checksum, length, kind and zero point. Number and slot of the query are
the host's."""

ANSWER_BYTES = 6
"""Of one ranked item on its way down: tag and score."""

PS_PER_US = 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sent:
    """A request on its way: what the engine is asked, and when what happened."""

    request: Request
    question: Question
    payload: npt.NDArray[np.uint8]
    edge_ps: int
    delivery: Delivery


class Session:
    """One user of an engine.

    Parameters
    ----------
    engine : which ranks the candidates, perhaps for other sessions too
    edge : the user's device
    link : between them
    stream : tells the jitter and losses of users apart
    histories : where embeddings of clicked items come from

    Members
    -------
    sent : what became of the messages of the last batch
    """

    def __init__(
        self,
        engine: "QueryDevice",
        edge: EdgeDevice,
        link: Link,
        *,
        stream: int = 0,
        histories: Histories | None = None,
    ) -> None:
        user = engine.user
        if edge.bundle.config.payload_bytes != user.bytes:
            raise InputError(
                f"the engine {engine.bundle.config.name} takes user vectors of {user.bytes} bytes, the unit "
                f"{edge.bundle.config.name} sends {edge.bundle.config.payload_bytes}"
            )
        self.engine, self.edge, self.link, self.histories = engine, edge, link.open(stream=stream), histories
        self._entries: Mapping[int, Entry] = {}
        self._epoch_ps = self._end_ps = 0  # of the link's time: the batch's start, the last message's end
        self.sent: list[tuple[Direction, Delivery]] = []

    def click(self, item: "int | np.integer[typing.Any] | Sequence[npt.ArrayLike]") -> None:
        """Put an item into the user's histories.

        Parameters
        ----------
        item : the tag of an item of the last answer, whose embeddings came with it; or embeddings, per history group
            float32 (elements,)

        Raises
        ------
        InputError
            If the last answer had no such item, or brought no embeddings, or an entry has a wrong size; no history
            has changed then.
        DeviceError
            If the unit refuses.
        """
        if isinstance(item, int | np.integer):
            if int(item) not in self._entries:
                known = ", ".join(map(str, self._entries)) or "none"
                raise InputError(f"the last answer brought embeddings of items {known}, not of {item}")
            item = self._entries[int(item)]
        groups = len(self.edge.bundle.config.histories)
        if len(item) != groups:
            raise InputError(f"a click has an entry for each of the {groups} histories, not {len(item)}")
        for group, entry in enumerate(item):
            self.edge.bundle.entry(group, entry)  # one that is wrong is refused before the first one acts
        for group, entry in enumerate(item):
            self.edge.click(entry, group=group)

    def set_static(self, values: npt.ArrayLike, *, wait: bool = True) -> int:
        """As `EdgeDevice.set_static`."""
        return self.edge.set_static(values, wait=wait)

    def rank(
        self,
        candidates: npt.NDArray[np.int64],
        context: npt.ArrayLike = (),
        k: int = 10,
        *,
        tags: npt.NDArray[np.uint32] | None = None,
        entries: npt.NDArray[np.int64] | None = None,
        scores: bool = False,
        trace: Path | str | None = None,
    ) -> Ranking:
        """The best k of the candidates, alone on the engine; arguments as `Request`'s.

        Parameters
        ----------
        trace : write what edge unit, link and engine did when to this file, for Perfetto; also of a query that fails

        Raises
        ------
        InputError
            If the trace cannot be written; nothing is sent then.
        """
        request = Request(
            session=self, candidates=candidates, context=context, k=k, tags=tags, entries=entries, scores=scores
        )
        if trace is None:
            return rank_all(self.engine, [request])[0]
        from microduet.queries.trace import rank_traced

        return rank_traced(request, Path(trace))

    def prepare(self, request: Request) -> "_Sent | Ranking":
        """Compute the user vector and send it; a failure is an answer already."""
        refused = refusal(request, self.engine)
        if refused is not None:
            return refused
        start = round(request.at_us * PS_PER_US)
        try:
            payload = self.edge.infer(request.context)
        except InputError as error:
            return failed(QueryStatus.BAD_CONTEXT, detail=str(error))
        except DeviceError as error:
            return failed(QueryStatus.EDGE_FAILED, detail=str(error))
        edge_ps = round(payload.cycles * 1e6 / self.edge.bundle.config.clock_mhz)
        delivery = self._send(payload.sent_bytes + HEADER_BYTES, start + edge_ps)
        mhz = self.engine.bundle.config.engine_mhz
        arrived = delivery.arrived_ps
        message = None
        if arrived is not None and (request.leaves_us is None or arrived <= request.leaves_us * PS_PER_US):
            message = UserMessage(
                payload=payload.values.copy(),
                coded=payload.coded,
                version=payload.version,
                scale=payload.scale,
                zero_point=payload.zero_point,
                at=math.ceil(arrived * mhz / 1e6),
            )
        gone = round((request.leaves_us or 0) * PS_PER_US)
        lost_at = None if message is not None else max(delivery.ended_ps, gone)
        question = Question(
            sparse=np.ascontiguousarray(request.candidates, np.int64),
            tags=tags_of(request),
            user=message,
            at=math.ceil(start * mhz / 1e6),
            abandoned_at=None if lost_at is None else math.ceil(lost_at * mhz / 1e6),
            scores=request.scores,
        )
        return _Sent(
            request=request, question=question, payload=payload.values.copy(), edge_ps=edge_ps, delivery=delivery
        )

    def begin(self) -> None:
        """A new batch: its times count from here, and the link is free."""
        self._epoch_ps = self._end_ps
        self.sent = []

    def _send(self, size: int, at_ps: int, direction: Direction = "up") -> Delivery:
        """Send at a time of the batch, which is also what the delivery's end counts from."""
        found = self.link.send(size, self._epoch_ps + at_ps, direction)
        self._end_ps = max(self._end_ps, found.ended_ps)
        found = found.earlier(self._epoch_ps)
        self.sent.append((direction, found))
        return found

    def deliver(self, sent: "_Sent", reply: Reply) -> Ranking:
        """What the device gets of the engine's answer."""
        request, start = sent.request, round(sent.request.at_us * PS_PER_US)
        status = _status(sent, reply)
        keep = request.k if status is QueryStatus.OK else 0
        down = ANSWER_BYTES * keep + HEADER_BYTES
        brings = request.entries is not None and self.histories is not None
        if brings:
            down += keep * entry_bytes(self.edge.bundle.config)
        back = self._send(down, reply.finished_ps, "down")
        tags = reply.tags[:keep]
        if brings and back.arrived_ps is not None:
            self._entries = _entries(typing.cast(Histories, self.histories), request, tags)
        arrived = sent.delivery.arrived_ps
        ready = max(start, arrived or start)
        return Ranking(
            tags=tags,
            scores=(reply.scores16[:keep] / 65536).astype(np.float32),
            logits=reply.logits[:keep],
            status=status,
            timing=Timing(
                edge_us=sent.edge_ps / PS_PER_US,
                link_us=((arrived or start) - start - sent.edge_ps) / PS_PER_US if arrived is not None else math.inf,
                wait_us=(reply.finished_ps - ready) / PS_PER_US,
                total_us=(reply.finished_ps - start) / PS_PER_US,
                down_us=None if back.arrived_ps is None else (back.arrived_ps - reply.finished_ps) / PS_PER_US,
            ),
            payload=sent.payload,
            up_bits=sent.delivery.sent_bits,
            down_bits=back.sent_bits,
            own=reply.own,
        )


def rank_all(engine: "QueryDevice", requests: Sequence[Request]) -> list[Ranking]:
    """Rank for several users at once, in the order of the requests; their times count from one start.

    A user's requests are computed on his device in their order. A query that fails has a status of its own.
    """
    for session in dict.fromkeys(request.session for request in requests):
        session.begin()
    order = sorted(range(len(requests)), key=lambda number: requests[number].at_us)
    prepared = {number: requests[number].session.prepare(requests[number]) for number in order}
    asked = [(number, one) for number, one in prepared.items() if isinstance(one, _Sent)]
    answers = dict(zip([n for n, _ in asked], engine.ask([one.question for _, one in asked]), strict=True))
    found: list[Ranking] = []
    for number, request in enumerate(requests):
        one = prepared[number]
        found.append(one if isinstance(one, Ranking) else request.session.deliver(one, answers[number]))
    return found


def _status(sent: _Sent, reply: Reply) -> QueryStatus:
    """The name of what went wrong: the link's and the user's own doings before what the engine saw of them."""
    if reply.user_status is UserStatus.OK:
        return QueryStatus.OK if len(reply.tags) >= sent.request.k else QueryStatus.ITEM_FAILED
    if sent.question.user is None and UserStatus.ABANDONED in reply.user_status:
        return QueryStatus.LINK_LOST if sent.delivery.arrived_ps is None else QueryStatus.DISCONNECTED
    for flag in (UserStatus.STALE_VERSION, UserStatus.WRONG_LENGTH, UserStatus.CHECKSUM, UserStatus.TIMEOUT):
        if flag in reply.user_status:
            return QueryStatus[typing.cast(str, flag.name)]
    return QueryStatus.DISCONNECTED


def _entries(histories: Histories, request: Request, tags: npt.NDArray[np.uint32]) -> dict[int, Entry]:
    places = {int(tag): place for place, tag in enumerate(tags_of(request))}
    assert request.entries is not None, "the caller has checked it"
    return {int(tag): histories.entry(request.entries[places[int(tag)]]) for tag in tags}

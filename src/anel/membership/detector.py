r"""Finds out who is gone: SWIM's probes, direct and through others.

    probe(target)   PING ---------------------------> target     ack: alive
                    silence, or no link
                      \-- PING_REQUEST --> helpers --PING--> target
                          ack: alive        nack: the helper is well, the target silent to it
                    no ack: `Judge.missed(target)`, which begins a suspicion

Each period one member is probed, in an order shuffled anew each round, so that every member's
turn comes within two rounds, at a load that does not grow with the ring. A nack tells the
prober that its own links work; too few of them lower its trust in itself. An answer that comes
late because this process stood still is held against nobody.

Source: SWIM (DSN 2002), sections 3 and 4.3; Lifeguard (DSN 2018), section IV-A.
"""

from typing import Annotated, Protocol

from msgspec import Meta, Struct

from anel.env import Env, NodeId, Timer
from anel.internode.messages import (
    REPLY,
    MessageType,
    body_of,
    pack_control,
    request_of,
)
from anel.internode.requests import Requests
from anel.membership.endpoint import News, NodeBytes
from anel.membership.suspicion import LocalHealth
from anel.membership.timing import Timing

NEWS_MAX = 16  # More than is sent: a message may carry what its receiver must hear besides.
_MS = 1_000_000

_NewsList = Annotated[list[News], Meta(max_length=NEWS_MAX)]


class Ping(Struct, array_like=True, frozen=True):
    """Are you there?"""

    news: _NewsList


class PingRequest(Struct, array_like=True, frozen=True):
    """Ask this node in my place."""

    target: NodeBytes
    news: _NewsList


class Ack(Struct, array_like=True, frozen=True):
    """The answer to both: whether the node asked for is there."""

    is_there: bool
    news: _NewsList


class Judge(Protocol):
    """What the detector tells, and asks, of membership."""

    def news_for(self, peer: NodeId, about: NodeId | None = None) -> list[News]:
        """Choose the news that ride on a message to a peer.

        Always among them: this node's own, what is held against the peer, and what is known of
        the node that the message is about.
        """

    def hear(self, peer: NodeId, news: list[News]) -> None:
        """Take in the news of a message."""

    def helpers(self, target: NodeId, count_max: int) -> list[NodeId]:
        """Choose members, thought alive, to probe a target in one's place."""

    def missed(self, target: NodeId) -> None:
        """A target answered neither this node nor its helpers."""


class Detector:
    """Probes members and answers probes.

    Attributes:
        health: This node's trust in itself.
        probes: How many probes began.
        misses: How many of them nobody answered.
        messages: How many messages the detector sent, answers included.
    """

    def __init__(self, env: Env, requests: Requests, judge: Judge, timing: Timing) -> None:
        self.env = env
        self.requests = requests
        self.judge = judge
        self.timing = timing
        self.health = LocalHealth()
        self.probes = 0
        self.misses = 0
        self.messages = 0
        self._under_way: dict[NodeId, _Probe] = {}

    def probe(self, target: NodeId) -> None:
        """Find out whether a member is there; a probe of it under way goes on instead."""
        if target not in self._under_way:
            self.probes += 1
            self._under_way[target] = probe = _Probe(self, target)
            probe.begin()

    def end(self, target: NodeId) -> None:
        """Note that a probe is over."""
        del self._under_way[target]

    def stop(self) -> None:
        """Forget every probe under way."""
        for probe in list(self._under_way.values()):
            probe.forget()
        self._under_way.clear()

    def send(self, peer: NodeId, kind: int, request: int, body: object) -> bool:
        """Send one message and count it."""
        self.messages += 1
        return self.env.send(peer, pack_control(kind, request, body))

    def on_ping(self, peer: NodeId, message: bytes) -> None:
        """Answer a probe."""
        self.judge.hear(peer, body_of(message, Ping).news)
        ack = Ack(is_there=True, news=self.judge.news_for(peer))
        self.answer(peer, MessageType.PING, request_of(message), ack)

    def on_ping_request(self, peer: NodeId, message: bytes) -> None:
        """Probe a third node in a peer's place."""
        body = body_of(message, PingRequest)
        self.judge.hear(peer, body.news)
        _Relay(self, peer, request_of(message), body.target).begin()

    def answer(self, peer: NodeId, reply: int, request: int, ack: Ack) -> None:
        """Send an ack or a nack; when the link is gone the asker will time out."""
        self.send(peer, reply | REPLY, request, ack)

    def stretched(self, wait_ms: int) -> int:
        """Lengthen a wait by this node's doubt of itself."""
        return wait_ms * self.health.multiplier


class _Probe:
    """One probe of one member: first direct, then through helpers too."""

    __slots__ = (
        "_asked",
        "_deadline_ns",
        "_detector",
        "_has_asked",
        "_nacks",
        "_request",
        "_target",
        "_timer",
    )

    def __init__(self, detector: Detector, target: NodeId) -> None:
        self._detector = detector
        self._target = target
        self._request = 0
        self._deadline_ns = 0
        self._timer: Timer | None = None
        self._has_asked = False
        self._asked = 0  # Helpers that were asked.
        self._nacks = 0

    def begin(self) -> None:
        detector = self._detector
        timing = detector.timing
        direct_ms = detector.stretched(timing.probe_ms)
        wait_ms = direct_ms + detector.stretched(timing.indirect_ms)
        self._deadline_ns = detector.env.now_ns() + wait_ms * _MS
        # One request for both ways: a direct ack that is merely late still counts.
        self._request = detector.requests.start(self, wait_ms)
        ping = Ping(detector.judge.news_for(self._target))
        if detector.send(self._target, MessageType.PING, self._request, ping):
            self._timer = detector.env.set_timer(direct_ms, self._ask_helpers)
        else:
            self._ask_helpers()

    def forget(self) -> None:
        self._detector.requests.finish(self._request)
        if self._timer is not None:
            self._timer.cancel()

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        ack = body_of(message, Ack)
        detector = self._detector
        detector.judge.hear(peer, ack.news)
        if ack.is_there:
            self._end()
            detector.health.better()
        else:
            self._nacks += 1
            if self._nacks == self._asked:
                self._miss()

    def on_link_down(self, peer: NodeId) -> None:
        if peer == self._target:
            self._ask_helpers()

    def on_deadline(self) -> None:
        detector = self._detector
        late_ns = detector.env.now_ns() - self._deadline_ns
        if late_ns > detector.timing.period_ms * _MS // 2:
            # This process stood still: the answer may lie unread.
            detector.health.worse()
            self._end()
        else:
            self._miss()

    def _ask_helpers(self) -> None:
        detector = self._detector
        if self._has_asked:
            return
        self._has_asked = True
        for helper in detector.judge.helpers(self._target, detector.timing.helpers):
            body = PingRequest(self._target, detector.judge.news_for(helper, self._target))
            if detector.send(helper, MessageType.PING_REQUEST, self._request, body):
                self._asked += 1
        if self._asked == 0:
            self._miss()

    def _miss(self) -> None:
        detector = self._detector
        self._end()
        detector.misses += 1
        if self._nacks < self._asked:
            detector.health.worse()
        detector.judge.missed(self._target)

    def _end(self) -> None:
        self.forget()
        self._detector.end(self._target)


class _Relay:
    """A probe in another node's place; the answer goes back as ack or nack."""

    __slots__ = ("_detector", "_for_peer", "_for_request", "_request", "_target")

    def __init__(
        self, detector: Detector, for_peer: NodeId, for_request: int, target: NodeId
    ) -> None:
        self._detector = detector
        self._for_peer = for_peer
        self._for_request = for_request
        self._target = target
        self._request = 0

    def begin(self) -> None:
        detector = self._detector
        # Not stretched: the asker waits no longer because this node doubts itself.
        self._request = detector.requests.start(self, detector.timing.probe_ms)
        ping = Ping(detector.judge.news_for(self._target))
        if not detector.send(self._target, MessageType.PING, self._request, ping):
            self._answer(is_there=False)

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        ack = body_of(message, Ack)
        self._detector.judge.hear(peer, ack.news)
        self._answer(is_there=ack.is_there)

    def on_link_down(self, peer: NodeId) -> None:
        if peer == self._target:
            self._answer(is_there=False)

    def on_deadline(self) -> None:
        self._answer(is_there=False)

    def _answer(self, *, is_there: bool) -> None:
        detector = self._detector
        detector.requests.finish(self._request)
        ack = Ack(is_there, detector.judge.news_for(self._for_peer, self._target))
        detector.answer(self._for_peer, MessageType.PING_REQUEST, self._for_request, ack)


class ProbeOrder:
    """Whose turn it is: every member once a round, in an order shuffled anew each round."""

    __slots__ = ("_env", "_round")

    def __init__(self, env: Env) -> None:
        self._env = env
        self._round: list[NodeId] = []

    def next(self, members: list[NodeId]) -> NodeId | None:
        """Give the next of these members, None when there are none."""
        present = dict.fromkeys(members)
        while self._round:
            node = self._round.pop()
            if node in present:
                return node
        if not members:
            return None
        self._round = list(members)
        self._env.random.shuffle(self._round)
        return self._round.pop()

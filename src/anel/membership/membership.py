"""Who is in the ring, who is alive, and what each says of itself, as this node knows it.

    ring view   says who the members are; membership never adds or removes one
    detector    finds silent members; a silent one is suspected, and dead if it does not refute
    gossip      each period with one live member, and with one dead one, so that a ring that was
                split finds itself again

A node that starts presumes every member alive until a probe says otherwise: a request to a peer
without a link fails at once anyway and becomes a hint, whereas presuming them dead would refuse
every QUORUM until the first round of probes is over.

Source: SWIM (DSN 2002); Lifeguard (DSN 2018); DESIGN section 4.
"""

from collections.abc import Callable

from anel.env import Address, Env, NodeId, Timer
from anel.internode.messages import MessageType, body_of, pack_control
from anel.internode.requests import Requests
from anel.membership.detector import Detector, ProbeOrder
from anel.membership.endpoint import NOBODY, Endpoint, News, Standing
from anel.membership.gossip import (
    LAST_TURN,
    Digest,
    DigestTurn,
    Gossip,
    answer,
    merge_delta,
)
from anel.membership.rumour import Rumours
from anel.membership.suspicion import CONFIRMATIONS_WANTED, Suspicion
from anel.membership.timing import Timing
from anel.ring.ring_view import RingView

_MS = 1_000_000


class Membership:
    """The living picture of the ring.

    Attributes:
        when_up: Called with a node that was dead or has restarted.
        when_down: Called with a node given up as dead.
        when_changed: Called with a node and the names of its states that changed.
        gossips: How many gossip messages this node sent.
        suspicions: How many times a member became suspect here.
        deaths: How many times a member became dead here.
        refutations: How many times this node had to say that it lives.

    Args:
        env: This node's world.
        requests: Its requests under way.
        node: Its id.
        address: Where its internode listener is.
        generation: Which start of the node this is; greater than at any earlier start.
        timing: Periods and waits.
    """

    def __init__(  # The node wires it once, by keyword.
        self,
        env: Env,
        requests: Requests,
        *,
        node: NodeId,
        address: Address,
        generation: int,
        timing: Timing | None = None,
    ) -> None:
        self._env = env
        self._timing = timing = timing or Timing()
        self._own = Endpoint(node, address, generation)
        self._known: dict[NodeId, Endpoint] = {node: self._own}
        self._others: list[Endpoint] = []
        self._suspicions: dict[NodeId, tuple[Suspicion, Timer]] = {}
        self._rumours = Rumours()
        self._turn = DigestTurn()
        self._order = ProbeOrder(env)
        self._dead_at = 0
        self._ticks = 0
        self._is_stopped = False
        self._timer: Timer | None = None
        self._tick_due_ns = 0
        self._grace_ends_ns = 0
        self.detector = Detector(env, requests, self, timing)
        self.when_up: list[Callable[[NodeId], None]] = []
        self.when_down: list[Callable[[NodeId], None]] = []
        self.when_changed: list[Callable[[NodeId, list[str]], None]] = []
        self.gossips = 0
        self.suspicions = 0
        self.deaths = 0
        self.refutations = 0
        self._own.write("internode", f"{address[0]}:{address[1]}")

    # What others ask.

    @property
    def own(self) -> Endpoint:
        """This node's own endpoint."""
        return self._own

    def is_alive(self, node: NodeId) -> bool:
        """Tell whether a member is worth asking: not dead. A stranger is not."""
        endpoint = self._known.get(node)
        return endpoint is not None and endpoint.standing is not Standing.DEAD

    def is_recovering(self, node: NodeId) -> bool:
        """Tell whether a member says that its store is being refilled."""
        endpoint = self._known.get(node)
        return endpoint is not None and bool(endpoint.states.get("recovering"))

    def endpoint(self, node: NodeId) -> Endpoint | None:
        """Give what is known of a member."""
        return self._known.get(node)

    def endpoints(self) -> list[Endpoint]:
        """List all members, this node too, in order of their ids."""
        return sorted(self._known.values(), key=lambda endpoint: endpoint.node)

    def live_peers(self) -> list[NodeId]:
        """List the other members that are not dead, in order of their ids."""
        return [endpoint.node for endpoint in self._others if endpoint.is_alive]

    def update(self, **states: str | int) -> None:
        """Set some of this node's own states; gossip spreads those that differ."""
        changed = [name for name, value in states.items() if self._own.write(name, value)]
        if changed:
            for listener in self.when_changed:
                listener(self._own.node, changed)

    # What the node tells.

    def start(self) -> None:
        """Begin to probe and gossip."""
        period_ms = self._timing.period_ms
        self._grace_ends_ns = self._env.now_ns() + self._timing.grace_ms * _MS
        # Nodes started together must not beat together.
        self._next_tick(1 + self._env.random.randrange(period_ms))

    def stop(self) -> None:
        """Stop: no timer of membership runs from now on."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self.detector.stop()
        for node in list(self._suspicions):
            self._drop_suspicion(node)

    def ring_changed(self, view: RingView) -> None:
        """Take over who the members are, and keep a link to each of them."""
        own = self._own.node
        members = {member.node: member.address for member in view.members}
        for node in [node for node in self._known if node not in members and node != own]:
            self._drop_suspicion(node)
            self._rumours.forget(node)
            del self._known[node]
            self._env.forget(node)
        for node, address in members.items():
            if node not in self._known:
                self._known[node] = Endpoint(node, address)
                self._env.learn(node, address)
        others = [endpoint for endpoint in self._known.values() if endpoint is not self._own]
        self._others = sorted(others, key=lambda endpoint: endpoint.node)

    def link_up(self, peer: NodeId, address: Address) -> None:
        """A link to a peer was made: exchange news at once."""
        endpoint = self._known.get(peer)
        if endpoint is not None:
            self._moved(endpoint, address)
            self._gossip_with(peer)

    def link_down(self, peer: NodeId) -> None:
        """A link broke: find out at once whether the peer is gone."""
        endpoint = self._known.get(peer)
        if self._is_running and endpoint is not None and endpoint.is_alive:
            self.detector.probe(peer)

    def on_ping(self, peer: NodeId, message: bytes) -> None:
        """Handle PING."""
        self.detector.on_ping(peer, message)

    def on_ping_request(self, peer: NodeId, message: bytes) -> None:
        """Handle PING_REQUEST."""
        self.detector.on_ping_request(peer, message)

    def on_gossip(self, peer: NodeId, message: bytes) -> None:
        """Handle GOSSIP: merge what is newer there, answer with what is newer here."""
        gossip = body_of(message, Gossip)
        self.hear(peer, gossip.news)
        for digest in gossip.digests:
            self._hear_digest(peer, digest)
        for delta in gossip.deltas:
            endpoint = self._known.get(delta.node)
            if endpoint is not None and endpoint is not self._own:
                self._changed(endpoint, merge_delta(endpoint, delta))
        if gossip.turn < LAST_TURN:
            digests, deltas = answer(gossip, self._known)
            if digests or deltas:
                news = self.news_for(peer)
                self._send(peer, Gossip(gossip.turn + 1, digests, deltas, news))

    @property
    def _is_running(self) -> bool:
        return self._timer is not None and not self._is_stopped

    # The detector's judge.

    def news_for(self, peer: NodeId, about: NodeId | None = None) -> list[News]:
        """Choose the news that ride on a message to a peer."""
        news = [self._own.news()]
        held = self._known.get(peer)
        if held is not None and held.standing is not Standing.ALIVE:
            news.append(held.news())
        subject = self._known.get(about) if about is not None else None
        if subject is not None:
            news.append(subject.news())
        return news + self._rumours.take(len(self._known))

    def hear(self, peer: NodeId, news: list[News]) -> None:
        """Take in the news of a message."""
        for piece in news:
            if piece.node == self._own.node:
                self._hear_of_self(peer, piece)
            else:
                endpoint = self._known.get(piece.node)
                if endpoint is not None:
                    self._hear_of(endpoint, piece)

    def helpers(self, target: NodeId, count_max: int) -> list[NodeId]:
        """Choose other live members at random, to probe a target in this node's place."""
        candidates = [
            endpoint.node
            for endpoint in self._others
            if endpoint.standing is Standing.ALIVE and endpoint.node != target
        ]
        return self._env.random.sample(candidates, min(count_max, len(candidates)))

    def missed(self, target: NodeId) -> None:
        """Suspect a member that answered nobody."""
        endpoint = self._known.get(target)
        if endpoint is None or endpoint.standing is Standing.DEAD:
            return
        if endpoint.generation == 0 and self._env.now_ns() < self._grace_ends_ns:
            return  # Nodes of a new ring do not all start in the same instant.
        own = self._own.node
        self._hear_of(
            endpoint,
            News(target, endpoint.generation, endpoint.incarnation, Standing.SUSPECT, own),
        )

    # One period.

    def _next_tick(self, delay_ms: int) -> None:
        self._tick_due_ns = self._env.now_ns() + delay_ms * _MS
        self._timer = self._env.set_timer(delay_ms, self._tick)

    def _tick(self) -> None:
        period_ms = self._timing.period_ms
        if self._env.now_ns() - self._tick_due_ns > period_ms * _MS // 2:
            self.detector.health.worse()  # This process stood still: doubt it first.
        self._next_tick(period_ms)
        self._ticks += 1
        live = self.live_peers()
        if self._ticks % self.detector.health.multiplier == 0:
            target = self._order.next(live)
            if target is not None:
                self.detector.probe(target)
        if live:
            self._gossip_with(self._env.random.choice(live))
        dead = [endpoint.node for endpoint in self._others if not endpoint.is_alive]
        if dead:
            self._dead_at += 1
            self._gossip_with(dead[self._dead_at % len(dead)])

    def _gossip_with(self, peer: NodeId) -> None:
        digests = self._turn.choose(self._own, self._others)
        self._send(peer, Gossip(0, digests, [], self.news_for(peer)))

    def _send(self, peer: NodeId, gossip: Gossip) -> None:
        if self._env.send(peer, pack_control(MessageType.GOSSIP, 0, gossip)):
            self.gossips += 1

    # News.

    def _hear_digest(self, peer: NodeId, digest: Digest) -> None:
        own = self._own
        self.hear(peer, [digest.news])
        if digest.node == own.node and (digest.generation, digest.version) > (
            own.generation,
            own.version,
        ):
            self._regenerate(digest.generation)

    def _hear_of(self, endpoint: Endpoint, news: News) -> None:
        if news.rank > endpoint.rank:
            self._adopt(endpoint, news)
        elif news.rank == endpoint.rank and news.standing is Standing.SUSPECT:
            self._confirm(endpoint.node, news)

    def _adopt(self, endpoint: Endpoint, news: News) -> None:
        was = endpoint.standing
        restarted = 0 < endpoint.generation < news.generation
        endpoint.adopt(news)
        self._rumours.spread(news)
        self._drop_suspicion(endpoint.node)
        if news.standing is Standing.SUSPECT:
            self._suspect(endpoint.node, news)
        if news.standing is Standing.DEAD:
            if was is not Standing.DEAD:
                self.deaths += 1
                self._tell(self.when_down, endpoint.node)
        elif was is Standing.DEAD or restarted:
            self._tell(self.when_up, endpoint.node)

    def _hear_of_self(self, peer: NodeId, news: News) -> None:
        own = self._own
        if news.generation > own.generation:
            self._regenerate(news.generation)
        elif news.generation < own.generation or news.incarnation < own.incarnation:
            return
        elif news.standing is not Standing.ALIVE:
            own.incarnation = news.incarnation + 1
            self.refutations += 1
            self.detector.health.worse()
        elif news.incarnation > own.incarnation:
            own.incarnation = news.incarnation
        else:
            return
        self._rumours.spread(own.news())
        self._send(peer, Gossip(LAST_TURN, [], [], [own.news()]))

    def _regenerate(self, generation: int) -> None:
        # The counter of starts was lost with a damaged store: peers remember a later life.
        self._own.generation = generation + 1
        self._own.incarnation = 0

    # Suspicion.

    def _suspect(self, node: NodeId, news: News) -> None:
        if self._is_stopped:
            return
        self.suspicions += 1
        timing = self._timing
        suspicion = Suspicion(
            news.by,
            self._env.now_ns(),
            wanted=min(CONFIRMATIONS_WANTED, max(0, len(self._known) - 2)),
            wait_ms_min=timing.suspect_ms_min,
            wait_ms_max=timing.suspect_ms_max,
        )
        self._wait_for_refutation(node, suspicion)
        if news.by == self._own.node:
            # Tell the suspect, who must refute, and a few who may agree, at once.
            told = [node, *self.helpers(node, timing.helpers)]
            for peer in told:
                self._send(peer, Gossip(LAST_TURN, [], [], [news]))

    def _confirm(self, node: NodeId, news: News) -> None:
        entry = self._suspicions.get(node)  # None once membership has stopped.
        if entry is None:
            return
        suspicion, timer = entry
        if news.by != NOBODY and suspicion.confirm(news.by):
            timer.cancel()
            self._rumours.spread(news)
            self._wait_for_refutation(node, suspicion)

    def _wait_for_refutation(self, node: NodeId, suspicion: Suspicion) -> None:
        wait_ms = self.detector.stretched(suspicion.wait_ms)
        past_ms = (self._env.now_ns() - suspicion.began_ns) // _MS
        left_ms = max(1, wait_ms - past_ms)
        due_ns = self._env.now_ns() + left_ms * _MS
        timer = self._env.set_timer(left_ms, lambda: self._give_up(node, suspicion, due_ns))
        self._suspicions[node] = (suspicion, timer)

    def _give_up(self, node: NodeId, suspicion: Suspicion, due_ns: int) -> None:
        now_ns = self._env.now_ns()
        if now_ns - due_ns > self._timing.period_ms * _MS // 2:
            # This process stood still: the refutation may lie unread.
            self.detector.health.worse()
            suspicion.began_ns = now_ns
            self._wait_for_refutation(node, suspicion)
            return
        endpoint = self._known[node]
        self._adopt(
            endpoint,
            News(
                node, endpoint.generation, endpoint.incarnation, Standing.DEAD, self._own.node
            ),
        )

    def _drop_suspicion(self, node: NodeId) -> None:
        entry = self._suspicions.pop(node, None)
        if entry is not None:
            entry[1].cancel()

    # States.

    def _changed(self, endpoint: Endpoint, names: list[str]) -> None:
        if not names:
            return
        if "internode" in names:
            host, _, port = str(endpoint.states.get("internode", "")).rpartition(":")
            if host and port.isdecimal():
                self._moved(endpoint, (host, int(port)))
        for listener in self.when_changed:
            listener(endpoint.node, names)

    def _moved(self, endpoint: Endpoint, address: Address) -> None:
        if address != endpoint.address:
            endpoint.address = address
            self._env.learn(endpoint.node, address)

    @staticmethod
    def _tell(listeners: list[Callable[[NodeId], None]], node: NodeId) -> None:
        for listener in listeners:
            listener(node)

"""How a node comes to be in a ring: it founds one, is born into one, or joins through seeds.

    found    a first node without seeds: a ring of one, epoch 1
    adopt    a ring whose members were all known before their first start (`Ring.adopt`)
    join     dial the seeds, RING_PULL, choose tokens, RING_PREPARE at every member, then
             RING_COMMIT the next epoch's view at all of them (the members: `ring.sponsor`)

All members must be up and agree. A busy or silent ring is asked again, after a pause with some
chance in it, so that two joiners do not collide for ever; a refusal ends with a
ConfigurationError that says what to do. A ring that holds user data refuses: moving rows comes
with the elastic ring.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from anel.env import Address, Env, NodeId, short
from anel.errors import ConfigurationError
from anel.flow import Flow, Signal, pause
from anel.internode.messages import MessageType, body_of
from anel.internode.poll import Poll, Replies
from anel.internode.requests import Requests
from anel.limits import VNODES_PER_NODE
from anel.ring.allocation import check_tokens, initial_tokens, tokens_for_joiner
from anel.ring.join_messages import Decided, Decision, Prepare, Prepared, Step, Verdict
from anel.ring.ring import Pull, Ring, pulled_view
from anel.ring.ring_view import (
    RING_ID_SIZE,
    Location,
    Member,
    RingView,
    decode,
    encode,
    ring_view,
)
from anel.storage.store import Store

_log = logging.getLogger("anel.ring")

ASK_TIMEOUT_MS = 3_000
LINK_WAIT_MS = 200
RETRY_MS = 500
SAY_EVERY_NS = 10_000_000_000
FORGOTTEN = (
    "the damaged store held the ring's view, and no member has called yet; they will when they "
    "are up. Was this node alone in its ring? Then move its data folder away to begin anew"
)


class Newcomer(NamedTuple):
    """Who wants to be in a ring.

    Attributes:
        node: Its id.
        address: Where it listens.
        location: Where it stands.
        tokens: Those configured; none leaves the choice to the allocation.
        vnodes: How many to choose then.
    """

    node: NodeId
    address: Address
    location: Location = Location()
    tokens: Sequence[int] = ()
    vnodes: int = VNODES_PER_NODE


Outcome: TypeAlias = ConfigurationError | str | None
"""Of one attempt: refused for good, not yet for this reason, or joined."""


class Admission:
    """One node's way into a ring.

    Args:
        env: The node's world.
        store: To know when the ring is on disk.
        requests: The node's requests under way.
        ring: The node's ring, which has been loaded.
        newcomer: This node.

    Attributes:
        waiting_for: Why the join has not succeeded yet, for the log and `anel status`.
    """

    def __init__(
        self,
        env: Env,
        store: Store,
        requests: Requests,
        ring: Ring,
        *,
        newcomer: Newcomer,
    ) -> None:
        self._env = env
        self._store = store
        self._requests = requests
        self._ring = ring
        self._newcomer = newcomer
        self._met: dict[NodeId, Address] = {}
        self._flow: Flow | None = None
        self._said_at = -SAY_EVERY_NS
        self.waiting_for = ""

    def found(self) -> None:
        """Form a ring of one node.

        Raises:
            ConfigurationError: The configured tokens will not do.
        """
        own = self._newcomer
        check_tokens(own.tokens)
        tokens = tuple(own.tokens) or tuple(initial_tokens(1, own.vnodes)[0])
        member = Member(own.node, own.address, own.location, tokens)
        ring_id = self._env.random.randbytes(RING_ID_SIZE)
        adopted = self._ring.adopt(ring_view(ring_id, 1, (member,)))
        assert adopted

    def join(
        self, seeds: Sequence[Address], done: Callable[[ConfigurationError | None], None]
    ) -> None:
        """Join the ring of the seeds; `done` gets None once this node is in and has synced it.

        It goes on trying while seeds or members are silent or busy. A seed that is this node
        itself is passed over.
        """
        others = [seed for seed in seeds if seed != self._newcomer.address]
        self._flow = Flow(self._env, self._attempts(others, done))

    def stop(self) -> None:
        """Give up."""
        if self._flow is not None:
            self._flow.close()

    def link_up(self, peer: NodeId, address: Address) -> None:
        """Note that a node can be spoken to."""
        self._met[peer] = address

    def link_down(self, peer: NodeId) -> None:
        """Note that it cannot any more."""
        self._met.pop(peer, None)

    async def _attempts(
        self,
        seeds: Sequence[Address],
        done: Callable[[ConfigurationError | None], None],
    ) -> None:
        while True:
            try:
                outcome = await self._attempt(seeds)
            except ConfigurationError as refusal:
                outcome = refusal
            if not isinstance(outcome, str):
                self.waiting_for = ""
                done(outcome)
                return
            self._say(outcome)
            await pause(self._env, RETRY_MS + self._env.random.randrange(RETRY_MS))

    def _say(self, reason: str) -> None:
        now = self._env.now_ns()
        if reason != self.waiting_for or now - self._said_at >= SAY_EVERY_NS:
            self._said_at = now
            _log.warning("not in the ring yet: %s", reason)
        self.waiting_for = reason

    async def _attempt(self, seeds: Sequence[Address]) -> Outcome:
        view = await self._find(seeds)
        if isinstance(view, str):
            return view
        own = self._newcomer
        mine = view.member(own.node)
        if mine is not None and mine.address == own.address:
            return await self._enter(view)  # The members agreed before a crash or a lost reply.
        newcomer = self._member(view)
        for member in view.members:
            self._env.learn(member.node, member.address)
        await pause(self._env, LINK_WAIT_MS)
        return await self._propose(view, newcomer)

    async def _find(self, seeds: Sequence[Address]) -> RingView | str:
        for seed in seeds:
            if seed not in self._met.values():
                self._env.dial(seed)
        await pause(self._env, LINK_WAIT_MS)
        replies = await self._ask(list(self._met), MessageType.RING_PULL, Pull(0))
        views = [view for reply in replies.values() if (view := pulled_view(reply)) is not None]
        if not views:
            if not seeds:
                return FORGOTTEN
            names = ", ".join(f"{host}:{port}" for host, port in seeds)
            return f"no seed answers with a ring ({names}); start the first node without seeds"
        if any(view.ring_id != views[0].ring_id for view in views):
            raise ConfigurationError("seeds: they belong to different rings; name one ring's")
        return max(views, key=lambda view: view.epoch)

    def _member(self, view: RingView) -> Member:
        own = self._newcomer
        if view.member(own.node) is not None:
            raise ConfigurationError(
                f"node id {own.node.hex()} is in the ring at another address: was the data "
                "folder copied? Delete the copy, and the node draws an id of its own"
            )
        for member in view.members:
            if member.address == own.address:
                raise ConfigurationError(
                    f"address {own.address[0]}:{own.address[1]} belongs to node "
                    f"{short(member.node)} of the ring: bring back that node's data folder, or "
                    "advertise another address (replacing a lost node comes with the elastic "
                    "ring)"
                )
        check_tokens(own.tokens)
        tokens = tuple(own.tokens) or tuple(tokens_for_joiner(view, own.vnodes))
        return Member(own.node, own.address, own.location, tokens)

    async def _propose(self, view: RingView, newcomer: Member) -> Outcome:
        members = [member.node for member in view.members]
        join = self._env.random.randbytes(16)
        question = Prepare(join, view.ring_id, view.epoch, newcomer)
        replies = await self._ask(members, MessageType.RING_PREPARE, question)
        problem = _problem(members, replies)
        if problem is not None:
            await self._ask(members, MessageType.RING_COMMIT, Decision(join, Step.ABORT))
            return problem
        joined = view.joined_by(newcomer)
        decision = Decision(join, Step.COMMIT, encode(joined))
        replies = await self._ask(members, MessageType.RING_COMMIT, decision)
        answers = {node: body_of(reply, Decided) for node, reply in replies.items()}
        if any(answer.is_done for answer in answers.values()):
            return await self._enter(joined)  # One is enough: the others learn it from it.
        for answer in answers.values():
            if answer.view and decode(answer.view).member(newcomer.node) is not None:
                return await self._enter(decode(answer.view))
        return "the members have not confirmed the join yet"

    async def _enter(self, view: RingView) -> Outcome:
        if not self._ring.adopt(view):
            raise ConfigurationError("the ring's view was refused by this node: see its log")
        durable: Signal[None] = Signal()
        self._store.when_durable(lambda: durable.fire(None), forced=True)
        await durable
        return None

    def _ask(
        self, peers: list[NodeId], kind: MessageType, body: object
    ) -> Signal[dict[NodeId, bytes]]:
        answered: Signal[Replies] = Signal()
        Poll(
            self._env,
            self._requests,
            peers,
            (kind, body),
            timeout_ms=ASK_TIMEOUT_MS,
            done=answered.fire,
        )
        return answered


def _problem(members: list[NodeId], replies: Replies) -> ConfigurationError | str | None:
    answers = {node: body_of(replies[node], Prepared) for node in members if node in replies}
    for node, answer in answers.items():
        if answer.verdict is Verdict.REFUSED:
            return ConfigurationError(
                f"node {short(node)} refuses to let this node join: {answer.reason}"
            )
    silent = [short(node) for node in members if node not in answers]
    if silent:
        return f"all members must be up to let a node in, and these are silent: {silent}"
    for node, answer in answers.items():
        if answer.verdict is Verdict.BUSY:
            return f"node {short(node)} is busy: {answer.reason}"
    return None

"""Comparing summaries: spans of leaves first, then the leaves of the spans that differ.

    asker  -- LEAVES table, truncation, (first, last, XOR of these leaves) ... --> peer
    asker  <-- for each span whose XOR differs: every leaf's XOR --------------- peer

Equal replicas cost a few kilobytes whatever they hold. Both must have applied the same
truncation, or rows that one has discarded would come back from the other (CORRECTNESS 12).

Source: Dynamo (SOSP 2007), section 4.7, with CORRECTNESS 7's flat leaves for Merkle's tree.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, NamedTuple, TypeAlias

from msgspec import Meta, Struct

from anel.env import NodeId
from anel.internode.messages import MessageType, body_of, pack_control
from anel.limits import LEAVES, READ_TIMEOUT_MS
from anel.repair.services import RepairServices
from anel.ring.token_map import TokenMap
from anel.storage.store import Summary

SPAN_LEAVES_MAX = 128  # A span that differs is answered with up to 2 kB of leaves.
SPANS_PER_MESSAGE = 256  # About 24 bytes each.
LEAVES_PER_ANSWER = 4096  # 64 kB; spans past it are asked for again.
XOR_SIZE = 16

Span: TypeAlias = tuple[int, int]
"""First and last leaf, both included."""

_Leaf = Annotated[int, Meta(ge=0, lt=LEAVES)]
_Xor = Annotated[bytes, Meta(min_length=XOR_SIZE, max_length=XOR_SIZE)]


class Verdict(IntEnum):
    """How a comparison went. Between nodes since format 1: never renumber."""

    COMPARED = 0
    WRONG_EPOCH = 1  # The ring views differ.
    UNKNOWN_TABLE = 2
    RECOVERING = 3  # The peer's own store is being refilled.
    INCOMPLETE = 4  # The peer still reads its leaves after a crash.
    TRUNCATED = 5  # One of the two has not applied the table's last truncation.
    BUSY = 6  # The peer is repairing the same rows with the asker.


class SpanXor(Struct, array_like=True, frozen=True, gc=False):
    """The XOR of some leaves."""

    first: _Leaf
    last: _Leaf
    xor: _Xor


class Leaves(Struct, array_like=True, frozen=True):
    """The question. An empty table id asks for the schema's digest alone."""

    epoch: int
    table: Annotated[bytes, Meta(max_length=16)]
    truncated_at: int
    spans: Annotated[list[SpanXor], Meta(max_length=SPANS_PER_MESSAGE)]


class LeafRun(Struct, array_like=True, frozen=True, gc=False):
    """The XORs of leaves that follow each other, one after another."""

    first: _Leaf
    xors: bytes


class LeavesAnswer(Struct, array_like=True, frozen=True):
    """The answer.

    Attributes:
        verdict: Only COMPARED says anything about leaves.
        schema: Digest of the peer's schema.
        compared: How many spans, from the first on, this answers.
        runs: The leaves of those that differ.
    """

    verdict: Verdict
    schema: bytes
    compared: int
    runs: list[LeafRun]


class Comparison(NamedTuple):
    """What the asker found.

    Attributes:
        verdict: None when the peer did not answer.
        schema: Digest of the peer's schema; b"" without an answer.
        differing: Leaf -> XOR of both sides' XORs, never 0.
    """

    verdict: Verdict | None
    schema: bytes
    differing: dict[int, int]


def shared_spans(
    token_map: TokenMap, node: NodeId, replication: int
) -> dict[NodeId, list[Span]]:
    """List, for each node that shares ranges with this one, which leaves they both hold."""
    shared: dict[NodeId, list[Span]] = {}
    for part in token_map.ranges_of(node, replication):
        leaves = part.leaves
        for peer in part.replicas:
            if peer != node:
                _extend(shared.setdefault(peer, []), leaves.start, leaves.stop - 1)
    return {
        peer: [cut for span in spans for cut in _cut(span)] for peer, spans in shared.items()
    }


def _extend(spans: list[Span], first: int, last: int) -> None:
    if spans and spans[-1][1] + 1 == first:
        spans[-1] = (spans[-1][0], last)
    else:
        spans.append((first, last))


def _cut(span: Span) -> list[Span]:
    first, last = span
    return [
        (start, min(last, start + SPAN_LEAVES_MAX - 1))
        for start in range(first, last + 1, SPAN_LEAVES_MAX)
    ]


def runs_of(leaves: Sequence[int]) -> list[Span]:
    """Join leaves that follow each other, up to SPAN_LEAVES_MAX of them."""
    spans: list[Span] = []
    for leaf in sorted(leaves):
        _extend(spans, leaf, leaf)
    return [cut for span in spans for cut in _cut(span)]


def compare(summary: Summary, spans: Sequence[SpanXor]) -> tuple[int, list[LeafRun]]:
    """Answer a question from this node's leaves: how many spans, and the differing ones."""
    runs: list[LeafRun] = []
    answered = 0
    for compared, span in enumerate(spans):
        if answered >= LEAVES_PER_ANSWER:
            return compared, runs
        if summary.span(span.first, span.last) != int.from_bytes(span.xor, "big"):
            xors = [
                summary.leaf(leaf).to_bytes(XOR_SIZE, "big")
                for leaf in range(span.first, span.last + 1)
            ]
            answered += len(xors)
            runs.append(LeafRun(span.first, b"".join(xors)))
    return len(spans), runs


def differing(summary: Summary, runs: Sequence[LeafRun]) -> dict[int, int]:
    """Find the leaves of an answer that differ from this node's."""
    found: dict[int, int] = {}
    for run in runs:
        for at in range(0, len(run.xors), XOR_SIZE):
            leaf = run.first + at // XOR_SIZE
            if leaf < LEAVES:
                theirs = int.from_bytes(run.xors[at : at + XOR_SIZE], "big")
                delta = summary.leaf(leaf) ^ theirs
                if delta:
                    found[leaf] = delta
    return found


async def compare_with(
    services: RepairServices,
    peer: NodeId,
    *,
    table: bytes,
    truncated_at: int,
    spans: Sequence[Span],
) -> Comparison:
    """Compare some leaves of a table with a peer's.

    Args:
        services: This node's ports.
        peer: The other replica.
        table: The table's id; b"" with no spans asks for the schema's digest only.
        truncated_at: The table's last truncation as this node knows it.
        spans: Which leaves.
    """
    found: dict[int, int] = {}
    at = 0
    while True:
        part = _question(services, table, truncated_at, spans[at : at + SPANS_PER_MESSAGE])
        answer = await services.ask(peer, part, _read_answer, READ_TIMEOUT_MS)
        if answer is None:
            return Comparison(None, b"", {})
        if answer.verdict is Verdict.WRONG_EPOCH:
            services.ring.pull(peer)
        if answer.verdict is not Verdict.COMPARED:
            return Comparison(answer.verdict, answer.schema, {})
        if answer.runs:
            found.update(differing(services.store.summary(table), answer.runs))
        at += max(1, answer.compared)
        if at >= len(spans):
            return Comparison(Verdict.COMPARED, answer.schema, found)


def _read_answer(message: bytes) -> LeavesAnswer:
    answer: LeavesAnswer = body_of(message, LeavesAnswer)
    return answer


def _question(
    services: RepairServices, table: bytes, truncated_at: int, spans: Sequence[Span]
) -> "_Build":
    summary = services.store.summary(table) if spans else None
    xors = [
        SpanXor(first, last, summary.span(first, last).to_bytes(XOR_SIZE, "big"))
        for first, last in spans
        if summary is not None
    ]
    return _Build(Leaves(services.ring.epoch, table, truncated_at, xors))


class _Build:
    """Makes the message once its request id is known."""

    __slots__ = ("_body",)

    def __init__(self, body: Leaves) -> None:
        self._body = body

    def __call__(self, request: int) -> bytes:
        return pack_control(MessageType.LEAVES, request, self._body)

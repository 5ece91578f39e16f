"""Walks over all keys: SCAN, KEYS, DBSIZE.

Keys come in the order of their tokens. A SCAN cursor is the unsigned token to go on from; 0 is
no key's token, so it can mean both start and end. A page never splits a token: all keys of one
hash tag come together, or a clear error says that they are too many.

The pages of a walk are separate reads: a key written meanwhile may or may not be seen, one that
is there all the time is (the promise of Redis's SCAN). The loop gets its turn between pages.
"""

from dataclasses import dataclass, replace

from anel.doors.backend import Page
from anel.doors.resp.client import Client, Operation
from anel.doors.resp.command import READ, SLOW_READ, Command
from anel.doors.resp.failure import NOT_AN_INTEGER, SYNTAX, failure
from anel.doors.resp.glob import Matcher, matcher
from anel.doors.resp.heads import reply_too_large
from anel.doors.resp.layout import KeyType, head_of, key_of
from anel.doors.resp.numbers import cursor_of, integer_of
from anel.doors.resp.reply import bulk, bulks, error
from anel.errors import AnelError, CorruptData, InvalidRequest
from anel.limits import RANGE_RECORDS_MAX, RESP_KEYS_PER_TAG_MAX, RESP_REPLY_BYTES_MAX

_TOKEN = slice(16, 24)  # Of a store key: after the table's id.
_PAST_ALL = b"\xff" * 10  # After every token and key size.
_COUNT_DEFAULT = 10
_KEY_OVERHEAD_BYTES = 64
_NO_TYPE = -1
_TYPE_NAMES = {b"string": KeyType.STRING}


class Walk(Operation):
    """Reads pages of rows until `_take` has enough."""

    def __init__(self, client: Client, first_token: int = 0) -> None:
        super().__init__(client)
        self._table = client.table
        self._next = client.table.id + first_token.to_bytes(8, "big")
        self._records_max = RANGE_RECORDS_MAX

    def read(self) -> None:
        """Read the next page."""
        client, table = self.client, self._table
        client.backend.read_page(
            table,
            self._next,
            table.id + _PAST_ALL,
            client.read_level,
            self._arrived,
            records_max=self._records_max,
        )

    def _arrived(self, page: Page | AnelError) -> None:
        if isinstance(page, AnelError):
            self.finish(failure(page))
            return
        try:
            reply = self._take(page)
        except (CorruptData, InvalidRequest) as reason:
            reply = failure(reason)
        if reply is not None:
            self.finish(reply)
        elif not self.client.is_gone:
            assert page.resume is not None
            self._next = page.resume
            self.client.backend.post(self.read)

    def _take(self, page: Page) -> bytes | None:
        """Take a page; give the reply, or None to read on from where it ended."""
        raise NotImplementedError


class KeyCount(Walk):
    """DBSIZE under way."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._count = 0

    def _take(self, page: Page) -> bytes | None:
        now_ms = self.client.backend.now_ms()
        for store_key, raw in page.rows:
            if key_of(store_key) is not None and head_of(raw, now_ms) is not None:
                self._count += 1
        return b":%d\r\n" % self._count if page.resume is None else None


class KeyList(Walk):
    """KEYS under way."""

    def __init__(self, client: Client, matches: Matcher) -> None:
        super().__init__(client)
        self._matches = matches
        self._found: list[bytes] = []
        self._size = 0

    def _take(self, page: Page) -> bytes | None:
        now_ms = self.client.backend.now_ms()
        for store_key, raw in page.rows:
            key = key_of(store_key)
            if key is not None and self._matches(key) and head_of(raw, now_ms) is not None:
                self._found.append(key)
                self._size += len(key) + _KEY_OVERHEAD_BYTES
        if self._size > RESP_REPLY_BYTES_MAX:
            raise reply_too_large("use SCAN instead of KEYS")
        return bulks(self._found) if page.resume is None else None


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What follows SCAN's cursor."""

    count: int = _COUNT_DEFAULT
    matches: Matcher | None = None
    type: int | None = None

    def is_wanted(self, key: bytes, raw: bytes, now_ms: int) -> bool:
        """Tell whether a key belongs into the page."""
        if self.matches is not None and not self.matches(key):
            return False
        head = head_of(raw, now_ms)
        return head is not None and (self.type is None or head.type == self.type)

    @classmethod
    def read(cls, words: list[bytes]) -> "ScanOptions | bytes":
        """Read the options, or give the error to answer."""
        options = cls()
        for at in range(0, len(words), 2):
            name, word = words[at], words[at + 1] if at + 1 < len(words) else None
            if word is None:
                return SYNTAX
            match name.upper():
                case b"COUNT":
                    count = integer_of(word)
                    if count is None:
                        return NOT_AN_INTEGER
                    if count < 1:
                        return SYNTAX
                    options = replace(options, count=min(count, RESP_KEYS_PER_TAG_MAX))
                case b"MATCH":
                    options = replace(options, matches=matcher(word))
                case b"TYPE":
                    options = replace(options, type=_TYPE_NAMES.get(word.lower(), _NO_TYPE))
                case _:
                    return SYNTAX
        return options


class KeyPage(Walk):
    """SCAN under way."""

    def __init__(
        self,
        client: Client,
        cursor: int,
        options: ScanOptions,
    ) -> None:
        super().__init__(client, cursor)
        self._options = options
        self._examined = 0
        self._first = b""
        self._found: list[tuple[bytes, bytes]] = []
        self._records_max = min(options.count, RANGE_RECORDS_MAX)

    def _take(self, page: Page) -> bytes | None:
        now_ms = self.client.backend.now_ms()
        last = b""
        for store_key, raw in page.rows:
            last = store_key[_TOKEN]
            self._first = self._first or last
            key = key_of(store_key)
            if key is not None and self._options.is_wanted(key, raw, now_ms):
                self._found.append((last, key))
        self._examined += len(page.rows)
        if page.resume is None:
            return self._page(0)
        if self._examined < self._options.count or not last:
            return None
        resume = page.resume[_TOKEN].ljust(8, b"\0")
        if resume == last:
            return self._without_last(last)
        return self._page(int.from_bytes(resume, "big"))

    def _without_last(self, last: bytes) -> bytes | None:
        """End before a token whose keys have not all been read, unless it is the only one."""
        if last != self._first:
            while self._found and self._found[-1][0] == last:
                self._found.pop()
            return self._page(int.from_bytes(last, "big"))
        if self._examined > RESP_KEYS_PER_TAG_MAX:
            raise InvalidRequest(
                f"more than {RESP_KEYS_PER_TAG_MAX} keys share one hash tag, and SCAN answers "
                "the keys of a tag together: spread them over several tags"
            )
        self._records_max = RANGE_RECORDS_MAX
        return None

    def _page(self, cursor: int) -> bytes:
        keys = bulks([key for _, key in self._found])
        return b"*2\r\n%b%b" % (bulk(b"%d" % cursor), keys)


def dbsize(client: Client, words: list[bytes]) -> bytes | Operation:  # noqa: ARG001 - No words.
    """DBSIZE."""
    return _begin(KeyCount(client))


def keys(client: Client, words: list[bytes]) -> bytes | Operation:
    """KEYS pattern."""
    return _begin(KeyList(client, matcher(words[1])))


def scan(client: Client, words: list[bytes]) -> bytes | Operation:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]."""
    cursor = cursor_of(words[1])
    if cursor is None:
        return error("ERR invalid cursor")
    options = ScanOptions.read(words[2:])
    if isinstance(options, bytes):
        return options
    return _begin(KeyPage(client, cursor, options))


def _begin(walk: Walk) -> bytes | Operation:
    walk.read()
    return walk.reply or walk


WALK_NOTE = "A walk over the whole ring, page by page."

COMMANDS = (
    Command(
        "keys",
        "pattern",
        2,
        keys,
        SLOW_READ,
        "generic",
        "1.0.0",
        "List the keys that match a pattern.",
        is_barrier=True,
        complexity="O(N) for N keys in the ring",
        note=WALK_NOTE + " A reply past 64 MiB is an error: use SCAN.",
    ),
    Command(
        "scan",
        "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        -2,
        scan,
        SLOW_READ,
        "generic",
        "2.8.0",
        "List keys piece by piece.",
        is_barrier=True,
        complexity="O(COUNT) each; O(N) for a whole pass over N keys",
        note="Keys come by token; all keys of one hash tag come together, at most 100,000.",
    ),
    Command(
        "dbsize",
        "",
        1,
        dbsize,
        READ,
        "server",
        "1.0.0",
        "Count the keys.",
        is_barrier=True,
        complexity="O(N) for N keys in the ring",
        note=WALK_NOTE,
    ),
)

"""Commands on strings: GET, SET and their kin. What must read before it writes is not here."""

from anel.data.mutation import encode, one_row
from anel.doors.resp.client import Acknowledgement, Client, Operation
from anel.doors.resp.command import (
    ALL_KEYS,
    ONE_KEY,
    PAIRED_KEYS,
    PER_KEY,
    READ,
    SLOW_READ,
    WRITE,
    Command,
)
from anel.doors.resp.expiry_options import SetOptions, expire_at_ms
from anel.doors.resp.failure import NOT_AN_INTEGER, WRONG_TYPE, failure, wrong_arity
from anel.doors.resp.fanout import Done, Fanout
from anel.doors.resp.heads import HeadsRead, read_head, reply_too_large, seen
from anel.doors.resp.layout import (
    Head,
    KeyType,
    check_keys,
    expiring_row,
    head_key,
    place,
    plain_value,
    string_mutation,
    string_row,
    tag_of,
)
from anel.doors.resp.numbers import integer_of
from anel.doors.resp.reply import OK, ZERO, array, bulk
from anel.errors import AnelError, InvalidRequest
from anel.limits import MUTATION_RECORDS_MAX, RESP_REPLY_BYTES_MAX


class StringRead(Operation):
    """GET under way."""

    def done(self, raw: bytes | AnelError) -> None:
        """Take the row."""
        if isinstance(raw, bytes) and (value := plain_value(raw)) is not None:
            self.finish(b"$%d\r\n%b\r\n" % (len(value), value))
        else:
            self.finish(self._any_row(raw))

    def _any_row(self, raw: bytes | AnelError) -> bytes:
        head = seen(self.client, raw)
        if isinstance(head, AnelError):
            return failure(head)
        if head is None:
            return self.client.null
        return bulk(head.value) if head.type == KeyType.STRING else WRONG_TYPE


def get(client: Client, words: list[bytes]) -> bytes | Operation:
    """GET key."""
    operation = StringRead(client)
    table = client.table
    key = head_key(table.id, words[1])
    client.backend.read_row(table, key, client.read_level, operation.done)
    return operation.reply or operation


def set_(client: Client, words: list[bytes]) -> bytes | Operation:
    """SET key value [options]."""
    ends_ms = None
    if len(words) > 3:
        options = SetOptions.read(words[3:], client.backend.now_ms())
        if options.refusal is not None:
            return options.refusal
        ends_ms = options.expire_at_ms
    return _write_string(client, words[1], words[2], ends_ms)


def setex(client: Client, words: list[bytes]) -> bytes | Operation:
    """SETEX key seconds value."""
    return _set_with_ttl(client, words, "setex", 1000)


def psetex(client: Client, words: list[bytes]) -> bytes | Operation:
    """PSETEX key milliseconds value."""
    return _set_with_ttl(client, words, "psetex", 1)


def _set_with_ttl(
    client: Client, words: list[bytes], name: str, unit_ms: int
) -> bytes | Operation:
    ends_ms = expire_at_ms(words[2], unit_ms, client.backend.now_ms(), name)
    if isinstance(ends_ms, bytes):
        return ends_ms
    return _write_string(client, words[1], words[3], ends_ms)


def _write_string(
    client: Client, key: bytes, value: bytes, ends_ms: int | None
) -> bytes | Operation:
    backend, table = client.backend, client.table
    timestamp = backend.now()
    if ends_ms is None:
        mutation = string_mutation(table.id, key, value, timestamp)
    else:
        prefix, sub = place(table.id, key)
        mutation = one_row(timestamp, prefix, sub, expiring_row(value, timestamp, ends_ms))
    operation = Acknowledgement(client)
    backend.write(table, mutation, client.write_level, operation.done, server_stamped=True)
    return operation.reply or operation


def mget(client: Client, words: list[bytes]) -> bytes | Operation:
    """MGET key [key ...]."""
    keys = words[1:]
    places = {key: at for at, key in enumerate(dict.fromkeys(keys))}

    def keep(head: Head) -> bytes | None:
        return head.value if head.type == KeyType.STRING else None

    def answer(found: list[bytes | None]) -> bytes:
        values = [found[places[key]] for key in keys]
        size = sum(0 if value is None else len(value) for value in values)
        if size > RESP_REPLY_BYTES_MAX:  # A key may be named many times.
            return failure(reply_too_large("ask for fewer keys at once"))
        return array([client.null if value is None else bulk(value) for value in values])

    operation = HeadsRead(client, keep, answer)
    operation.begin(list(places))
    return operation.reply or operation


class StringsWrite(Operation):
    """MSET under way: one write for each tag, its keys all or nothing."""

    def begin(self, words: list[bytes]) -> None:
        """Write every value; of a key given twice, the last."""
        client = self.client
        backend, table = client.backend, client.table
        by_tag: dict[bytes, dict[bytes, bytes]] = {}
        check_keys(words[1::2])
        for at in range(1, len(words), 2):
            by_tag.setdefault(tag_of(words[at]), {})[words[at]] = words[at + 1]
        for values in by_tag.values():
            if len(values) > MUTATION_RECORDS_MAX:
                raise InvalidRequest(
                    f"one MSET may write {MUTATION_RECORDS_MAX} keys of one hash tag"
                )

        def start(values: dict[bytes, bytes], done: Done) -> None:
            timestamp = backend.now()
            prefix = b""
            records = []
            for key, value in values.items():
                prefix, sub = place(table.id, key)
                records.append((sub, string_row(value, timestamp)))
            mutation = encode(timestamp, prefix, records)
            backend.write(table, mutation, client.write_level, done, server_stamped=True)

        Fanout(
            backend, list(by_tag.values()), start, lambda _at, _done: None, done=self._end
        ).advance()

    def _end(self, reason: AnelError | None) -> None:
        self.finish(OK if reason is None else failure(reason))


def mset(client: Client, words: list[bytes]) -> bytes | Operation:
    """MSET key value [key value ...]."""
    if len(words) % 2 == 0:
        return wrong_arity("mset")
    operation = StringsWrite(client)
    operation.begin(words)
    return operation.reply or operation


def strlen(client: Client, words: list[bytes]) -> bytes | Operation:
    """STRLEN key."""

    def answer(head: Head | None) -> bytes:
        if head is None:
            return ZERO
        return b":%d\r\n" % len(head.value) if head.type == KeyType.STRING else WRONG_TYPE

    return read_head(client, words[1], answer)


def getrange(client: Client, words: list[bytes]) -> bytes | Operation:
    """GETRANGE key start end, both included, negative from the end."""
    first, last = integer_of(words[2]), integer_of(words[3])
    if first is None or last is None:
        return NOT_AN_INTEGER

    def answer(head: Head | None) -> bytes:
        if head is not None and head.type != KeyType.STRING:
            return WRONG_TYPE
        value = b"" if head is None else head.value
        size = len(value)
        if first < 0 and last < 0 and first > last:
            return bulk(b"")
        start = max(first + size, 0) if first < 0 else first
        end = max(last + size, 0) if last < 0 else last
        return bulk(value[start : end + 1])

    return read_head(client, words[1], answer)


COMMANDS = (
    Command("get", "key", 2, get, READ, "string", "1.0.0", "Read a string.", ONE_KEY),
    Command(
        "set",
        "key value [EX s | PX ms | EXAT s | PXAT ms]",
        -3,
        set_,
        WRITE,
        "string",
        "1.0.0",
        "Write a string, and when it expires.",
        ONE_KEY,
        note="NX, XX, GET and KEEPTTL come with the conditional-writes release.",
    ),
    Command(
        "setex",
        "key seconds value",
        4,
        setex,
        WRITE,
        "string",
        "2.0.0",
        "Write a string that expires.",
        ONE_KEY,
    ),
    Command(
        "psetex",
        "key milliseconds value",
        4,
        psetex,
        WRITE,
        "string",
        "2.6.0",
        "Write a string that expires.",
        ONE_KEY,
    ),
    Command(
        "mget",
        "key [key ...]",
        -2,
        mget,
        READ,
        "string",
        "1.0.0",
        "Read many strings at once.",
        ALL_KEYS,
        complexity=PER_KEY,
        note="Each key is a read of its own: there is no snapshot across keys.",
    ),
    Command(
        "mset",
        "key value [key value ...]",
        -3,
        mset,
        WRITE,
        "string",
        "1.0.1",
        "Write many strings at once.",
        PAIRED_KEYS,
        complexity=PER_KEY,
        note="One write for each hash tag: atomic within a tag, not across tags.",
    ),
    Command(
        "strlen",
        "key",
        2,
        strlen,
        READ,
        "string",
        "2.2.0",
        "Tell how many bytes a string has.",
        ONE_KEY,
    ),
    Command(
        "getrange",
        "key start end",
        4,
        getrange,
        SLOW_READ,
        "string",
        "2.4.0",
        "Read a part of a string, both ends included.",
        ONE_KEY,
        complexity="O(N) for N bytes of the string",
    ),
    Command(
        "substr",
        "key start end",
        4,
        getrange,
        SLOW_READ,
        "string",
        "1.0.0",
        "The old name of GETRANGE.",
        ONE_KEY,
        complexity="O(N) for N bytes of the string",
    ),
)

"""Commands on keys of any type: DEL, EXISTS, TYPE and their kin."""

from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import encode, one_row
from anel.doors.resp.client import Acknowledgement, Client, Operation
from anel.doors.resp.command import (
    ALL_KEYS,
    COUNT_NOTE,
    DELETE,
    FAST_WRITE,
    ONE_KEY,
    PER_KEY,
    READ,
    Command,
)
from anel.doors.resp.failure import SYNTAX, failure
from anel.doors.resp.fanout import Done, Fanout
from anel.doors.resp.heads import HeadsRead, lasting, read_head
from anel.doors.resp.layout import Head, KeyType, check_keys, deletion_row, place
from anel.doors.resp.reply import ONE, ZERO
from anel.errors import AnelError
from anel.limits import MUTATION_RECORDS_MAX

_TYPE_NAMES: dict[int, bytes] = {KeyType.STRING: b"+string\r\n"}


class KeyDeletion(Operation):
    """DEL of one key under way: reads at QUORUM whether it is there, then deletes it.

    What the read shows to be deleted already is not deleted again. At a level below QUORUM the
    read may miss a write that was acknowledged, so there it is deleted anyhow.
    """

    def __init__(self, client: Client, key: bytes) -> None:
        super().__init__(client)
        self._table = client.table
        self._prefix, self._sub = place(client.table.id, key)
        self._success = ZERO

    def begin(self) -> None:
        """Read the key."""
        read = self.client.backend.read_row
        read(self._table, self._prefix + self._sub, ConsistencyLevel.QUORUM, self._delete)

    def _delete(self, raw: bytes | AnelError) -> None:
        client = self.client
        head = lasting(raw)
        if isinstance(head, AnelError):
            self.finish(failure(head))
            return
        if head is not None and not head.has_expired(client.backend.now_ms()):
            self._success = ONE
        if head is None and not _is_blind(client):
            self.finish(ZERO)
            return
        timestamp = client.backend.now()
        mutation = one_row(timestamp, self._prefix, self._sub, deletion_row(timestamp))
        level = client.write_level
        client.backend.write(self._table, mutation, level, self._end, server_stamped=True)

    def _end(self, reason: AnelError | None) -> None:
        self.finish(self._success if reason is None else failure(reason))


class KeysDeletion(Operation):
    """DEL of many keys under way: reads which are there, then deletes them, tag by tag."""

    def __init__(self, client: Client, keys: list[bytes]) -> None:
        super().__init__(client)
        self._table = client.table
        self._keys = list(dict.fromkeys(keys))
        self._is_blind = _is_blind(client)
        self._count = 0
        self._now_ms = client.backend.now_ms()
        self._found: dict[bytes, list[bytes]] = {}

    def begin(self) -> None:
        """Read every key."""
        backend, table = self.client.backend, self._table
        check_keys(self._keys)

        def start(key: bytes, done: Done) -> None:
            prefix, sub = place(table.id, key)
            backend.read_row(table, prefix + sub, ConsistencyLevel.QUORUM, done)

        Fanout(backend, self._keys, start, self._take, done=self._delete).advance()

    def _take(self, index: int, raw: bytes) -> AnelError | None:
        head = lasting(raw)
        if isinstance(head, AnelError):
            return head
        if head is not None and not head.has_expired(self._now_ms):
            self._count += 1
        if head is not None or self._is_blind:
            prefix, sub = place(self._table.id, self._keys[index])
            self._found.setdefault(prefix, []).append(sub)
        return None

    def _delete(self, reason: AnelError | None) -> None:
        if reason is not None:
            self.finish(failure(reason))
            return
        client, table = self.client, self._table
        backend = client.backend

        def start(item: tuple[bytes, list[bytes]], done: Done) -> None:
            timestamp = backend.now()
            value = deletion_row(timestamp)
            mutation = encode(timestamp, item[0], [(sub, value) for sub in item[1]])
            backend.write(table, mutation, client.write_level, done, server_stamped=True)

        items = [
            (prefix, subs[at : at + MUTATION_RECORDS_MAX])
            for prefix, subs in self._found.items()
            for at in range(0, len(subs), MUTATION_RECORDS_MAX)
        ]
        Fanout(backend, items, start, lambda _at, _done: None, done=self._end).advance()

    def _end(self, reason: AnelError | None) -> None:
        self.finish(b":%d\r\n" % self._count if reason is None else failure(reason))


def delete(client: Client, words: list[bytes]) -> bytes | Operation:
    """DEL key [key ...]; UNLINK is the same."""
    operation: KeyDeletion | KeysDeletion
    if len(words) == 2:
        operation = KeyDeletion(client, words[1])
    else:
        operation = KeysDeletion(client, words[1:])
    operation.begin()
    return operation.reply or operation


def _is_blind(client: Client) -> bool:
    """Tell whether a read at QUORUM may miss what this connection wrote."""
    return client.write_level < ConsistencyLevel.QUORUM


def exists(client: Client, words: list[bytes]) -> bytes | Operation:
    """EXISTS key [key ...]; a key named twice counts twice. TOUCH is the same."""
    if len(words) == 2:
        return read_head(client, words[1], lambda head: b":%d\r\n" % (head is not None))
    times: dict[bytes, int] = {}
    for key in words[1:]:
        times[key] = times.get(key, 0) + 1
    counts = list(times.values())

    def answer(found: list[bytes | None]) -> bytes:
        pairs = zip(found, counts, strict=True)
        return b":%d\r\n" % sum(count for key, count in pairs if key is not None)

    operation = HeadsRead(client, lambda _head: b"", answer)
    operation.begin(list(times))
    return operation.reply or operation


def type_(client: Client, words: list[bytes]) -> bytes | Operation:
    """TYPE key."""

    def answer(head: Head | None) -> bytes:
        return b"+none\r\n" if head is None else type_name(head.type)

    return read_head(client, words[1], answer)


def type_name(key_type: int) -> bytes:
    """Name what a key holds, as a simple string."""
    return _TYPE_NAMES.get(key_type, b"+none\r\n")


def flush(client: Client, words: list[bytes]) -> bytes | Operation:
    """FLUSHALL [ASYNC | SYNC]; FLUSHDB is the same: there is one database."""
    if len(words) > 2 or (len(words) == 2 and words[1].upper() not in (b"ASYNC", b"SYNC")):
        return SYNTAX
    operation = Acknowledgement(client)
    client.backend.truncate(client.table, operation.done)
    return operation.reply or operation


COMMANDS = (
    Command(
        "del",
        "key [key ...]",
        -2,
        delete,
        DELETE,
        "generic",
        "1.0.0",
        "Delete keys and tell how many there were.",
        ALL_KEYS,
        complexity=PER_KEY,
        note=COUNT_NOTE,
    ),
    Command(
        "unlink",
        "key [key ...]",
        -2,
        delete,
        FAST_WRITE,
        "generic",
        "4.0.0",
        "The same as DEL.",
        ALL_KEYS,
        complexity=PER_KEY,
        note=COUNT_NOTE,
    ),
    Command(
        "exists",
        "key [key ...]",
        -2,
        exists,
        READ,
        "generic",
        "1.0.0",
        "Count the keys that are there; one named twice counts twice.",
        ALL_KEYS,
        complexity=PER_KEY,
    ),
    Command(
        "touch",
        "key [key ...]",
        -2,
        exists,
        READ,
        "generic",
        "3.2.1",
        "The same as EXISTS: there is no access time to change.",
        ALL_KEYS,
        complexity=PER_KEY,
    ),
    Command(
        "type",
        "key",
        2,
        type_,
        READ,
        "generic",
        "1.0.0",
        "Tell what a key holds.",
        ONE_KEY,
    ),
    Command(
        "flushdb",
        "[ASYNC | SYNC]",
        -1,
        flush,
        DELETE,
        "server",
        "1.0.0",
        "Delete every key.",
        is_barrier=True,
        note="Needs every node of the ring to be up.",
    ),
    Command(
        "flushall",
        "[ASYNC | SYNC]",
        -1,
        flush,
        DELETE,
        "server",
        "1.0.0",
        "Delete every key.",
        is_barrier=True,
        note="Needs every node of the ring to be up.",
    ),
)

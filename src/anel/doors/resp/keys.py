"""Commands on keys of any type: DEL, EXISTS, TYPE and their kin."""

from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import encode
from anel.doors.resp.client import Client, Operation
from anel.doors.resp.failure import failure
from anel.doors.resp.fanout import Fanout
from anel.doors.resp.layout import deletion_row, lasting_head_of, place
from anel.doors.resp.reply import ZERO
from anel.errors import AnelError


class Deletion(Operation):
    """DEL under way: reads which keys are there, then deletes them, tag by tag.

    What makes the count right is a read at QUORUM; a key that was never written, or has been
    deleted, is not deleted again. (At a level below QUORUM the read may miss a write, so there
    everything named is deleted.)
    """

    __slots__ = ("_count", "_is_blind", "_keys", "_now_ms", "_records", "_table")

    def __init__(self, client: Client, keys: list[bytes]) -> None:
        super().__init__(client)
        self._keys = list(dict.fromkeys(keys))
        self._table = client.table
        self._is_blind = client.write_level < ConsistencyLevel.QUORUM
        self._count = 0
        self._now_ms = client.backend.now_ms()
        self._records: dict[bytes, list[bytes]] = {}

    def begin(self) -> None:
        """Read every key."""
        places = [place(self._table.id, key) for key in self._keys]
        read = self.client.backend.read_row

        def start(where: tuple[bytes, bytes], done: object) -> None:
            read(self._table, where[0] + where[1], ConsistencyLevel.QUORUM, done)  # type: ignore[arg-type]

        def answered(index: int, raw: bytes) -> None:
            head = lasting_head_of(raw)
            if head is not None and not head.has_expired(self._now_ms):
                self._count += 1
            if head is not None or self._is_blind:
                prefix, sub = places[index]
                self._records.setdefault(prefix, []).append(sub)

        Fanout(self.client.backend, places, start, answered, done=self._delete).advance()

    def _delete(self, reason: AnelError | None) -> None:
        if reason is not None:
            self.finish(failure(reason))
            return
        if not self._records:
            self.finish(ZERO)
            return
        backend = self.client.backend

        def start(item: tuple[bytes, list[bytes]], done: object) -> None:
            timestamp = backend.now()
            value = deletion_row(timestamp)
            mutation = encode(timestamp, item[0], [(sub, value) for sub in item[1]])
            backend.write(
                self._table, mutation, self.client.write_level, done, server_stamped=True
            )  # type: ignore[arg-type]

        Fanout(
            backend, list(self._records.items()), start, lambda _at, _none: None, done=self._end
        ).advance()

    def _end(self, reason: AnelError | None) -> None:
        self.finish(failure(reason) if reason is not None else b":%d\r\n" % self._count)


def delete(client: Client, words: list[bytes]) -> bytes | Operation:
    """DEL key [key ...]."""
    operation = Deletion(client, words[1:])
    operation.begin()
    return operation.reply or operation

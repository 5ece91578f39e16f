"""Commands of Redis that are not here, and why: never a wrong or racy answer instead.

What reads before it writes (INCR, SET NX, MULTI) needs conditional writes, which come with a
release of their own; other commands need types that are not built yet, or features of a single
server that a ring does not have.
"""

from anel.doors.resp.client import Client
from anel.doors.resp.command import SUBCOMMAND, Command
from anel.doors.resp.failure import failure
from anel.doors.resp.reply import OK, error
from anel.errors import InvalidRequest, NotSupported
from anel.limits import RESP_BULK_BYTES_MAX, RESP_REQUEST_BYTES_MAX

DOCUMENTED = "see docs/reference/resp.md"
CONDITIONAL = (
    f"must read before it writes and comes with the conditional-writes release; {DOCUMENTED}"
)
_SHOWN_MAX = 128  # As Redis: of the name, and of all words after it together.

# Why, and the names, in lower case.
LATER: dict[str, str] = {
    CONDITIONAL: (
        "append copy decr decrby getdel getex getset incr incrby incrbyfloat move msetnx "
        "persist rename renamenx setnx setrange "
        "multi watch unwatch "
        "eval eval_ro evalsha evalsha_ro fcall fcall_ro function script"
    ),
    f"needs hashes, which come with a later release; {DOCUMENTED}": (
        "hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield "
        "hscan hset hsetnx hstrlen hvals"
    ),
    f"needs lists, which come with a later release; {DOCUMENTED}": (
        "blmove blmpop blpop brpop brpoplpush lindex linsert llen lmove lmpop lpop lpos lpush "
        "lpushx lrange lrem lset ltrim rpop rpoplpush rpush rpushx"
    ),
    f"needs sets, which come with a later release; {DOCUMENTED}": (
        "sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers "
        "smismember smove spop srandmember srem sscan sunion sunionstore"
    ),
    f"needs sorted sets, which come with a later release; {DOCUMENTED}": (
        "bzmpop bzpopmax bzpopmin zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard "
        "zinterstore zlexcount zmpop zmscore zpopmax zpopmin zrandmember zrange zrangebylex "
        "zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank zremrangebyscore "
        "zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore"
    ),
    f"needs streams, which come with a later release; {DOCUMENTED}": (
        "xack xadd xautoclaim xclaim xdel xgroup xinfo xlen xpending xrange xread xreadgroup "
        "xrevrange xsetid xtrim"
    ),
    f"needs publish and subscribe, which come with a later release; {DOCUMENTED}": (
        "psubscribe publish pubsub punsubscribe spublish ssubscribe subscribe sunsubscribe "
        "unsubscribe"
    ),
    f"is not built yet; {DOCUMENTED}": (
        "bitcount bitfield bitfield_ro bitop bitpos getbit setbit pfadd pfcount pfmerge lcs "
        "geoadd geodist geohash geopos georadius georadius_ro georadiusbymember "
        "georadiusbymember_ro geosearch geosearchstore "
        "dump object randomkey restore sort sort_ro wait acl asking cluster debug latency "
        "memory monitor slowlog lolwut role"
    ),
    f"belongs to a single server with copies of it: a ring has no master; {DOCUMENTED}": (
        "failover psync replconf replicaof slaveof migrate swapdb sync module"
    ),
    f"is not needed: an acknowledged write is on disk; {DOCUMENTED}": (
        "bgrewriteaof bgsave lastsave save shutdown"
    ),
}
_REASONS = {name: reason for reason, names in LATER.items() for name in names.split()}


def refuse(client: Client, words: list[bytes]) -> bytes:
    """Answer that a command is not here: why, if Redis has it."""
    name = words[0].decode("latin-1").lower()
    if name == "multi":
        # What follows must not run one by one as if there were no MULTI: see the session.
        client.is_multi_refused = True
    if name in _REASONS:
        return failure(NotSupported(f"{name.upper()} {_REASONS[name]}"))
    return _unknown(words)


def _unknown(words: list[bytes]) -> bytes:
    shown = ""
    for word in words[1:]:
        if len(shown) >= _SHOWN_MAX:
            break
        shown += f"'{word[: _SHOWN_MAX - len(shown)].decode('latin-1')}' "
    name = words[0][:_SHOWN_MAX].decode("latin-1")
    return error(f"ERR unknown command '{name}', with args beginning with: {shown}")


def refuse_size(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """Answer a command that was read over because it passes a bound."""
    return failure(
        InvalidRequest(
            f"a word may have {RESP_BULK_BYTES_MAX} bytes and a command "
            f"{RESP_REQUEST_BYTES_MAX} in all: split the value, or the command"
        )
    )


def exec_(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """EXEC: end what a refused MULTI began."""
    if not client.is_multi_refused:
        return error("ERR EXEC without MULTI")
    client.is_multi_refused = False
    return error("EXECABORT Transaction discarded because of previous errors.")


def discard(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """DISCARD: end what a refused MULTI began."""
    if not client.is_multi_refused:
        return error("ERR DISCARD without MULTI")
    client.is_multi_refused = False
    return OK


COMMANDS = (
    Command(
        "exec",
        "",
        1,
        exec_,
        SUBCOMMAND,
        "transactions",
        "1.2.0",
        "End a MULTI that was refused.",
    ),
    Command(
        "discard",
        "",
        1,
        discard,
        SUBCOMMAND,
        "transactions",
        "2.0.0",
        "End a MULTI that was refused.",
    ),
)

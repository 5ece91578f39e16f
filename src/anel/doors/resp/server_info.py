"""Commands about the node: INFO, CONFIG GET, TIME."""

from collections.abc import Iterable

from anel.doors.resp.client import Client
from anel.doors.resp.command import ANY_TIME, Command, subcommand
from anel.doors.resp.door import REDIS_VERSION
from anel.doors.resp.glob import matcher
from anel.doors.resp.reply import Value, Verbatim, bulks, encode
from anel.doors.resp.subcommand import run_subcommand
from anel.limits import RESP_BULK_BYTES_MAX

_DEFAULTS = (b"default", b"all", b"everything")


def info(client: Client, words: list[bytes]) -> bytes:
    """INFO [section ...]."""
    wanted = [word.lower() for word in words[1:]]
    is_whole = not wanted or any(word in _DEFAULTS for word in wanted)
    texts = [
        f"# {name}\r\n" + "".join(f"{key}:{value}\r\n" for key, value in lines)
        for name, lines in _sections(client)
        if is_whole or name.lower().encode() in wanted
    ]
    return encode(Verbatim("\r\n".join(texts).encode()), client.protocol)


def _sections(client: Client) -> Iterable[tuple[str, Iterable[tuple[str, object]]]]:
    door = client.door
    now_ms = client.backend.now_ms()
    up_s = (now_ms - door.started_ms) // 1000
    yield (
        "Server",
        {
            "redis_version": REDIS_VERSION,
            "anel_version": door.version,
            "redis_mode": "standalone",
            "arch_bits": 64,
            "tcp_port": door.port,
            "server_time_usec": now_ms * 1000,
            "uptime_in_seconds": up_s,
            "uptime_in_days": up_s // 86_400,
        }.items(),
    )
    yield "Clients", {"connected_clients": len(door.clients), "blocked_clients": 0}.items()
    yield (
        "Stats",
        {
            "total_connections_received": door.connections,
            "total_commands_processed": door.commands,
            "protocol_errors": door.protocol_errors,
        }.items(),
    )
    yield "Replication", {"role": "master", "connected_slaves": 0}.items()
    yield "Cluster", {"cluster_enabled": 0}.items()
    # Counting keys is a walk over the ring (DBSIZE): INFO must stay cheap, so no "db0" line.
    yield "Keyspace", ()
    yield "Anel", {"consistency": door.write_level.name, **door.facts()}.items()


def config_get(client: Client, words: list[bytes]) -> bytes:
    """CONFIG GET pattern [pattern ...]."""
    settings = _settings(client)
    patterns = [matcher(word.lower()) for word in words[2:]]
    chosen: dict[str, Value] = {
        name: value
        for name, value in settings.items()
        if any(matches(name.encode()) for matches in patterns)
    }
    return encode(chosen, client.protocol)


def _settings(client: Client) -> dict[str, str]:
    """Give what clients ask for, as this node behaves."""
    return {
        "appendonly": "yes",
        "bind": "127.0.0.1",
        "cluster-enabled": "no",
        "databases": "1",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "notify-keyspace-events": "",
        "port": str(client.door.port),
        "proto-max-bulk-len": str(RESP_BULK_BYTES_MAX),
        "requirepass": "",
        "save": "",
        "slowlog-log-slower-than": "-1",
        "timeout": "0",
    }


def time(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """TIME: seconds and microseconds, to the millisecond."""
    now_ms = client.backend.now_ms()
    return bulks((b"%d" % (now_ms // 1000), b"%d" % (now_ms % 1000 * 1000)))


def config(client: Client, words: list[bytes]) -> bytes:
    """CONFIG subcommand."""
    return run_subcommand(client, words, CONFIG)


CONFIG = Command(
    "config",
    "subcommand ...",
    -2,
    config,
    (),
    "server",
    "2.0.0",
    "About settings.",
    subcommands=(
        subcommand(
            "config|get",
            "pattern [pattern ...]",
            -3,
            config_get,
            "2.0.0",
            "Tell the settings that clients ask for.",
        ),
    ),
    complexity="Depends on the subcommand",
    note="Settings are changed in the configuration file.",
)
COMMANDS = (
    CONFIG,
    Command(
        "info",
        "[section ...]",
        -1,
        info,
        ("loading", "stale"),
        "server",
        "1.0.0",
        "Describe this node.",
        note="No key count: DBSIZE counts.",
    ),
    Command(
        "time",
        "",
        1,
        time,
        ANY_TIME,
        "server",
        "2.6.0",
        "Tell this node's time, to the millisecond.",
    ),
)

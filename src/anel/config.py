"""The settings of one node: read from a TOML file and `ANEL_...` variables, and checked.

    defaults  <-  anel.toml  <-  ANEL_DATA, ANEL_LISTEN_RESP, ANEL_LIMITS_READ_TIMEOUT_MS ...

Whatever is wrong or unknown is refused with the path of the setting and what it accepts:
nothing is ignored silently. Every setting is described in docs/reference/config.md.
"""

import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import msgspec

from anel.env import Address, NodeId
from anel.errors import ConfigurationError
from anel.limits import (
    ANTI_ENTROPY_BYTES_PER_S,
    HINTS_BYTES_MAX_PER_NODE,
    NODES_MAX,
    READ_TIMEOUT_MS,
    REQUESTS_IN_FLIGHT_MAX,
    WRITE_TIMEOUT_MS,
)

Durability: TypeAlias = Literal["group", "periodic", "none"]
Level: TypeAlias = Literal["ONE", "TWO", "THREE", "QUORUM", "ALL"]
Door: TypeAlias = Literal["cql", "resp", "http", "internode"]

DOORS: tuple[Door, ...] = ("resp", "http", "internode", "cql")
OFF = "off"
VARIABLE_PREFIX = "ANEL_"
REPLICATION_DEFAULT_MAX = 3  # Dynamo's and Cassandra's usual N: survives the loss of one node.


class Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A table of settings that accepts no other names."""


class Listen(Strict, frozen=True):
    """Where each door listens: "127.0.0.1:6379", or "off"."""

    cql: str = "127.0.0.1:9042"
    resp: str = "127.0.0.1:6379"
    http: str = "127.0.0.1:8500"
    internode: str = "127.0.0.1:7000"


class Resp(Strict, frozen=True):
    """The Redis door."""

    consistency: Level = "QUORUM"


class Limits(Strict, frozen=True):
    """Bounds of one node; each default is explained in anel.limits."""

    requests_in_flight: int = REQUESTS_IN_FLIGHT_MAX
    write_timeout_ms: int = WRITE_TIMEOUT_MS
    read_timeout_ms: int = READ_TIMEOUT_MS
    hints_bytes_per_node: int = HINTS_BYTES_MAX_PER_NODE
    anti_entropy_bytes_per_s: int = ANTI_ENTROPY_BYTES_PER_S


class InitialMember(Strict, frozen=True):
    """One node of a ring whose members all know each other before their first start."""

    node_id: str
    address: str
    tokens: list[int]
    datacenter: str = "dc1"
    rack: str = "rack1"

    @property
    def id(self) -> NodeId:
        """The member's node id as bytes."""
        return NodeId(bytes.fromhex(self.node_id))

    @property
    def endpoint(self) -> Address:
        """Where the member's internode listener is."""
        return parse_address(self.address)


class NodeConfig(Strict, frozen=True):
    """All settings of one node."""

    cluster_name: str = "anel"
    data: str = "anel-node"
    node_id: str = ""
    has_served: bool = False
    seeds: list[str] = []
    datacenter: str = "dc1"
    rack: str = "rack1"
    tokens: list[int] = []
    advertise: str = ""
    durability: Durability = "group"
    replication: int = 0
    listen: Listen = Listen()
    resp: Resp = Resp()
    limits: Limits = Limits()
    initial_ring: list[InitialMember] = []

    def address(self, door: Door) -> Address | None:
        """Tell where a door listens; None when it is off."""
        text: str = getattr(self.listen, door)
        return None if text == OFF else parse_address(text)

    @property
    def id(self) -> NodeId | None:
        """The node id asked for; None leaves the choice to the node's first start."""
        return NodeId(bytes.fromhex(self.node_id)) if self.node_id else None

    @property
    def advertised(self) -> Address:
        """Where other nodes reach this one."""
        return parse_address(self.advertise or self.listen.internode)

    @property
    def seed_addresses(self) -> list[Address]:
        """The internode addresses to try first."""
        return [parse_address(seed) for seed in self.seeds]

    @property
    def redis_replication(self) -> int | None:
        """The replication factor asked for keyspace redis; None: min(3, nodes), growing."""
        return self.replication or None


def load(path: Path, variables: Mapping[str, str] | None = None) -> NodeConfig:
    """Read a node's settings from a file and check them all.

    Args:
        path: A TOML file. A relative `data` is taken from the folder that holds it.
        variables: The environment; names that begin with ANEL_ override the file.

    Raises:
        ConfigurationError: The file cannot be read, or a setting is wrong: its path is named.
    """
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); "
            "`anel config > anel.toml` writes a commented default"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    try:
        config = check(settings, variables or {})
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.args[0]}") from error
    folder = (path.parent / config.data).resolve()
    return msgspec.structs.replace(config, data=str(folder))


def check(settings: dict[str, Any], variables: Mapping[str, str]) -> NodeConfig:
    """Turn settings as TOML gives them, overridden by variables, into a checked NodeConfig."""
    _refuse_unknown(settings, NodeConfig, "")
    for path, text in _overrides(variables):
        table, _, name = path.rpartition(".")
        place = settings.setdefault(table, {}) if table else settings
        place[name] = _value_of(path, text)
    consistency = settings.get("resp", {}).get("consistency")
    if isinstance(consistency, str):
        settings["resp"]["consistency"] = consistency.upper()
    try:
        config = msgspec.convert(settings, NodeConfig)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_reason(str(error))) from error
    _check_addresses(config)
    _check_values(config)
    return config


def parse_address(text: str) -> Address:
    """Read HOST:PORT, where an IPv6 host stands in brackets.

    Raises:
        ValueError: It is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not re.fullmatch(r"\d{1,5}", port) or int(port) > 65_535:
        raise ValueError(text)
    return host.removeprefix("[").removesuffix("]"), int(port)


def variable_of(path: str) -> str:
    """Name the variable that overrides a setting: listen.resp is ANEL_LISTEN_RESP."""
    return VARIABLE_PREFIX + path.replace(".", "_").upper()


def setting_paths() -> dict[str, Any]:
    """List the path of every setting that a variable can override, with its type."""
    paths: dict[str, Any] = {}
    for field in msgspec.structs.fields(NodeConfig):
        if isinstance(field.type, type) and issubclass(field.type, Strict):
            for inner in msgspec.structs.fields(field.type):
                paths[f"{field.name}.{inner.name}"] = inner.type
        elif field.name != "initial_ring":
            paths[field.name] = field.type
    return paths


def _overrides(variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pair settings with the variables that override them; refuse near misses.

    Others are left alone: Kubernetes sets ANEL_PORT and the like for a service named anel.
    """
    known = {variable_of(path): path for path in setting_paths()}
    found = []
    for name in sorted(variables):
        if name in known:
            found.append((known[name], variables[name]))
        elif name.startswith(("ANEL_LISTEN_", "ANEL_RESP_", "ANEL_LIMITS_")):
            raise ConfigurationError(
                f"the variable {name} names no setting{_nearest(name, list(known))}"
            )
    return found


def _value_of(path: str, text: str) -> object:
    """Read a variable's text by the type of its setting; lists are separated by commas."""
    wanted = setting_paths()[path]
    try:
        if wanted is int:
            return int(text)
        if wanted == list[int]:
            return [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigurationError(
            f"{path}: the variable {variable_of(path)} is {text!r}; accepted: whole numbers"
        ) from error
    if wanted == list[str]:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _refuse_unknown(settings: dict[str, Any], table: type[Strict], prefix: str) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(table)}
    for name, value in settings.items():
        path = prefix + name
        if name not in fields:
            raise ConfigurationError(
                f"{path} is not a setting{_nearest(name, list(fields))}; "
                f"accepted here: {', '.join(fields)}"
            )
        inner = fields[name]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Strict):
            _refuse_unknown(value, inner, path + ".")
        elif name == "initial_ring" and isinstance(value, list):
            for index, member in enumerate(value):
                if isinstance(member, dict):
                    _refuse_unknown(member, InitialMember, f"{path}[{index}].")


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # Only when something is wrong.

    near = get_close_matches(name, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _reason(message: str) -> str:
    """Say msgspec's "Expected `int`, got `str` - at `$.listen.resp`" with our path first."""
    text, _, place = message.partition(" - at `$")
    path = place.strip("`.").replace("...", "") or "the file"
    if text.startswith("Invalid enum value"):
        accepted = {
            "durability": "group, periodic, none",
            "resp.consistency": "ONE, TWO, THREE, QUORUM, ALL",
        }.get(path, "another value")
        return f"{path}: {text.removeprefix('Invalid enum value ')}; accepted: {accepted}"
    for word, meaning in _TYPES.items():
        text = text.replace(f"`{word}`", meaning)
    return f"{path}: {text[0].lower()}{text[1:]}"


_TYPES = {
    "int": "a whole number",
    "float": "a fraction",
    "str": 'text ("...")',
    "bool": "true or false",
    "array": "a list ([...])",
    "object": "a table",
}


def _check_addresses(config: NodeConfig) -> None:
    taken: dict[Address, str] = {}
    for door in DOORS:
        path, text = f"listen.{door}", cast("str", getattr(config.listen, door))
        if text == OFF and door != "internode":
            continue
        address = _loopback(path, text)
        if address[1] and address in taken:
            raise ConfigurationError(f"{path} and {taken[address]} are both {text}")
        taken[address] = path
    others = [(f"seeds[{index}]", seed) for index, seed in enumerate(config.seeds)]
    others += [("advertise", config.advertise)] if config.advertise else []
    others += [
        (f"initial_ring[{index}].address", member.address)
        for index, member in enumerate(config.initial_ring)
    ]
    for path, text in others:
        _loopback(path, text)


def _loopback(path: str, text: str) -> Address:
    try:
        host, port = parse_address(text)
    except ValueError as error:
        off = (
            "" if path == "listen.internode" or not path.startswith("listen.") else ', or "off"'
        )
        raise ConfigurationError(
            f'{path} is {text!r}; accepted: an address such as "127.0.0.1:6379"{off}'
        ) from error
    if host != "localhost" and not _is_loopback(host):
        raise ConfigurationError(
            f"{path} is {text!r}: only loopback addresses (127.0.0.0/8, [::1], localhost) are "
            "accepted, because Anel has no authentication yet and anyone who reaches a port "
            f"could read and delete everything; listen on 127.0.0.1:{port} and let other "
            f"machines come through SSH: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
        )
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_values(config: NodeConfig) -> None:
    if not config.cluster_name or len(config.cluster_name) > 48:
        raise ConfigurationError("cluster_name: accepted: 1 to 48 characters")
    if not 0 <= config.replication <= NODES_MAX:
        raise ConfigurationError(
            f"replication is {config.replication}; accepted: 1 to {NODES_MAX}, or 0 for "
            f"min({REPLICATION_DEFAULT_MAX}, nodes)"
        )
    members = [(f"initial_ring[{index}]", one) for index, one in enumerate(config.initial_ring)]
    names = [("node_id", config.node_id)] if config.node_id else []
    names += [(f"{path}.node_id", member.node_id) for path, member in members]
    for path, text in names:
        if not re.fullmatch(r"[0-9a-f]{32}", text):
            raise ConfigurationError(f"{path} is {text!r}; accepted: 32 hexadecimal digits")
    lists = [("tokens", config.tokens)]
    lists += [(f"{path}.tokens", member.tokens) for path, member in members]
    for path, tokens in lists:
        if not all(-(2**63) <= token < 2**63 for token in tokens):
            raise ConfigurationError(f"{path}: accepted: whole numbers of 64 bits with sign")
        if len(set(tokens)) < len(tokens):
            raise ConfigurationError(f"{path}: a token stands there twice")
    for field in msgspec.structs.fields(Limits):
        if getattr(config.limits, field.name) < 1:
            raise ConfigurationError(f"limits.{field.name}: accepted: 1 or more")


def default_text() -> str:
    """Give a configuration file that holds every setting at its default, with comments."""
    return Path(__file__).with_name("default.toml").read_text("utf-8")

"""CLIENT and its subcommands: who is connected, and what they call themselves."""

from anel.doors.resp.client import Client
from anel.doors.resp.command import Command, subcommand
from anel.doors.resp.connection import is_name
from anel.doors.resp.failure import SYNTAX
from anel.doors.resp.numbers import integer_of
from anel.doors.resp.reply import OK, Verbatim, bulk, encode, error
from anel.doors.resp.subcommand import run_subcommand
from anel.errors import InvalidRequest
from anel.limits import RESP_REPLY_BYTES_MAX

_TYPES = (b"normal", b"master", b"replica", b"slave", b"pubsub")


def id_(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """CLIENT ID."""
    return b":%d\r\n" % client.id


def getname(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """CLIENT GETNAME."""
    return bulk(client.name) if client.name else client.null


def setname(client: Client, words: list[bytes]) -> bytes:
    """CLIENT SETNAME name."""
    if not is_name(words[2]):
        return error("ERR Client names cannot contain spaces, newlines or special characters.")
    client.name = words[2]
    return OK


def setinfo(client: Client, words: list[bytes]) -> bytes:
    """CLIENT SETINFO LIB-NAME name | LIB-VER version (Redis 7.2)."""
    option = words[2].upper()
    if option not in (b"LIB-NAME", b"LIB-VER"):
        return error(f"ERR Unrecognized option '{words[2].decode('latin-1')}'")
    if not is_name(words[3]):
        name = words[2].decode().lower()
        return error(f"ERR {name} cannot contain spaces, newlines or special characters.")
    if option == b"LIB-NAME":
        client.library = words[3]
    else:
        client.library_version = words[3]
    return OK


def no_evict(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """CLIENT NO-EVICT ON | OFF; nobody is ever evicted here."""
    return OK if words[2].upper() in (b"ON", b"OFF") else SYNTAX


def info(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """CLIENT INFO."""
    return encode(Verbatim(_describe(client, client.backend.now_ms())), client.protocol)


def list_(client: Client, words: list[bytes]) -> bytes:
    """CLIENT LIST [TYPE type | ID id ...]."""
    chosen = list(client.door.clients.values())
    if len(words) > 2:
        option = words[2].upper()
        if option == b"TYPE" and len(words) == 4:
            if words[3].lower() not in _TYPES:
                return error(f"ERR Unknown client type '{words[3].decode('latin-1')}'")
            chosen = chosen if words[3].lower() == b"normal" else []
        elif option == b"ID" and len(words) > 3:
            ids = [integer_of(word) for word in words[3:]]
            if None in ids:
                return error("ERR Invalid client ID")
            clients = client.door.clients
            chosen = [clients[id_] for id_ in ids if id_ is not None and id_ in clients]
        else:
            return SYNTAX
    now_ms = client.backend.now_ms()
    text = b"".join([_describe(one, now_ms) for one in chosen])
    if len(text) > RESP_REPLY_BYTES_MAX:
        raise InvalidRequest("the list of clients is too long: ask for some by ID")
    return encode(Verbatim(text), client.protocol)


def _describe(client: Client, now_ms: int) -> bytes:
    fields: dict[str, object] = {
        "id": client.id,
        "addr": client.address,
        "name": client.name.decode(),
        "age": (now_ms - client.connected_ms) // 1000,
        "idle": (now_ms - client.last_ms) // 1000,
        "flags": "N",
        "db": 0,
        "cmd": client.last_command or "NULL",
        "user": "default",
        "resp": client.protocol,
        "lib-name": client.library.decode(),
        "lib-ver": client.library_version.decode(),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()).encode() + b"\n"


SUBCOMMANDS = (
    subcommand("client|id", "", 2, id_, "5.0.0", "Tell this connection's id."),
    subcommand("client|getname", "", 2, getname, "2.6.9", "Tell this connection's name."),
    subcommand("client|setname", "name", 3, setname, "2.6.9", "Name this connection."),
    subcommand(
        "client|setinfo",
        "LIB-NAME name | LIB-VER version",
        4,
        setinfo,
        "7.2.0",
        "Name the library that opened this connection.",
    ),
    subcommand("client|info", "", 2, info, "6.2.0", "Describe this connection."),
    subcommand(
        "client|list",
        "[TYPE type | ID id [id ...]]",
        -2,
        list_,
        "2.4.0",
        "Describe the connections of this node.",
    ),
    subcommand(
        "client|no-evict", "ON | OFF", 3, no_evict, "7.0.0", "Nothing: nobody is evicted."
    ),
)


def client_(client: Client, words: list[bytes]) -> bytes:
    """CLIENT subcommand."""
    return run_subcommand(client, words, CLIENT)


CLIENT = Command(
    "client",
    "subcommand ...",
    -2,
    client_,
    (),
    "connection",
    "2.4.0",
    "About connections.",
    subcommands=SUBCOMMANDS,
    complexity="Depends on the subcommand",
)
COMMANDS = (CLIENT,)

"""The folder of a ring made by `anel up`: what is in it, and who may use it.

DIR/ring.json            the ring: node ids, tokens, addresses, process ids, where `anel up` is
DIR/up.lock              held by the running `anel up`; the kernel lets go when it dies
DIR/up.sock              where the running `anel up` takes orders (anel start, kill, down ...)
DIR/up.log               what `anel up --detach` has to say
DIR/nodeK/anel.toml      the settings of node k, written anew by each `anel up`
DIR/nodeK/anel.log       what node k has to say
"""

import fcntl
import json
import os
import uuid
from pathlib import Path
from typing import Any

from anel.cli.failures import CommandFailed, DataInUse, NothingRuns, RingDiffers
from anel.cli.ports import HOST, port_of
from anel.cli.up_options import DATA_DEFAULT, NODES_DEFAULT, UpOptions

FORMAT = 1  # On disk since format 1: never renumber.
REPLICATION_DEFAULT_MAX = 3
OPEN_DOORS = ("resp", "http", "internode", "cql")
SOCKET_PATH_MAX = 100  # The kernel takes 108 bytes, others 104.


class DataFolder:
    """One ring's folder."""

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.abspath(path))  # resolve() would follow links.
        self.ring_file = self.path / "ring.json"
        self.log_file = self.path / "up.log"
        self._lock: int | None = None

    @property
    def option(self) -> str:
        """What a command typed here needs so as to find this folder; empty for the default."""
        is_default = str(self.path) == os.path.abspath(DATA_DEFAULT)
        return "" if is_default else f" --data {self.path}"

    def node_folder(self, node: int) -> Path:
        """Where node k lives."""
        return self.path / f"node{node}"

    def node_log(self, node: int) -> Path:
        """Where node k logs."""
        return self.node_folder(node) / "anel.log"

    def lock(self) -> None:
        """Take the folder for this process, until it ends in whatever way.

        Raises:
            DataInUse: Another `anel up` has it; the message names it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise CommandFailed(
                f"the data folder {self.path} cannot be used ({error.strerror}); "
                "choose another with --data DIR"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise DataInUse(
                f"{self.path} is in use by `anel up` (process {pid}){self._contacts()}; "
                "stop it with `anel down{self.option}`, or start another ring with --data OTHER"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def unlock(self) -> None:
        """Let others use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_locked(self) -> bool:
        """Tell whether an `anel up` runs here."""
        try:
            lock = os.open(self.path / "up.lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def read(self) -> dict[str, Any] | None:
        """Read ring.json; None when there is no ring here yet.

        Raises:
            CommandFailed: It is there and cannot be read.
        """
        try:
            ring = json.loads(self.ring_file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CommandFailed(
                f"{self.ring_file} cannot be read ({error}); node ids, tokens and addresses "
                "stand in nodeK/anel.toml too: restore the file, or use another folder with "
                "--data DIR"
            ) from error
        if not isinstance(ring, dict) or ring.get("format") != FORMAT:
            raise CommandFailed(
                f"{self.ring_file} has a format this release does not know; upgrade Anel, "
                "or use another folder with --data DIR"
            )
        return ring

    def write(self, ring: dict[str, Any]) -> None:
        """Replace ring.json, whole or not at all."""
        _replace(self.ring_file, json.dumps(ring, indent=1) + "\n")

    def running(self) -> dict[str, Any]:
        """Read the ring of a folder whose `anel up` runs.

        Raises:
            NothingRuns: There is no ring here, or it is stopped.
        """
        ring = self.read()
        if ring is None:
            raise NothingRuns(
                f"there is no ring in {self.path}; start one with "
                "`anel up`, or say where it is with --data DIR"
            )
        if ring.get("up") is None or not self.is_locked():
            raise NothingRuns(
                f"no `anel up` runs on {self.path}; start it with `anel up{self.option}`"
            )
        return ring

    def _contacts(self) -> str:
        ring = self.read()
        if not ring or not ring["nodes"]:
            return ""
        first = ring["nodes"][0]
        return f", Redis at {first.get('resp')}, status at http://{first.get('http')}/"


def make_ring(folder: DataFolder, options: UpOptions) -> dict[str, Any]:
    """Read the folder's ring, or draw up a new one as the options ask.

    Raises:
        RingDiffers: The folder holds another ring than the one asked for.
    """
    ring = folder.read()
    if ring is not None:
        _check_same(folder, ring, options)
        return ring
    if any(folder.path.glob("node*/*")):
        raise RingDiffers(
            f"{folder.path} holds data of nodes and no ring.json, without which nobody knows "
            "which ring they are; restore it, or use another folder with --data DIR"
        )
    from anel.limits import VNODES_PER_NODE
    from anel.ring.allocation import initial_tokens  # Only a new ring needs it.

    count = options.nodes or NODES_DEFAULT
    tokens = initial_tokens(count, VNODES_PER_NODE)
    return {
        "format": FORMAT,
        "cluster_name": f"anel-{uuid.uuid4().hex[:8]}",
        "replication": options.replication or min(REPLICATION_DEFAULT_MAX, count),
        "nodes": [
            {"node": node, "node_id": uuid.uuid4().hex, "tokens": list(tokens[node])}
            for node in range(count)
        ],
    }


def _check_same(folder: DataFolder, ring: dict[str, Any], options: UpOptions) -> None:
    count = len(ring["nodes"])
    if options.nodes is not None and options.nodes != count:
        raise RingDiffers(
            f"{folder.path} holds a ring of {count} nodes, not {options.nodes}: "
            f"`anel up --nodes {count}{folder.option}` starts it; --data OTHER makes another "
            f"ring; `anel down --delete-data{folder.option}` removes this one (a ring cannot "
            "grow yet)"
        )
    if options.replication is not None and options.replication != ring["replication"]:
        raise RingDiffers(
            f"keyspace redis in {folder.path} was made with replication {ring['replication']}, "
            f"not {options.replication}: leave --replication out; --data OTHER makes another "
            "ring; `anel keyspace alter redis --replication N` changes it while it is empty"
        )


def place(folder: DataFolder, ring: dict[str, Any], offset: int, durability: str) -> None:
    """Give every node its addresses for this run, and write its settings."""
    ring["port_offset"] = offset
    ring["durability"] = durability
    for node in ring["nodes"]:
        for door in OPEN_DOORS:
            node[door] = f"{HOST}:{port_of(door, node['node'], offset)}"
    for node in ring["nodes"]:
        own = folder.node_folder(node["node"])
        own.mkdir(exist_ok=True)
        _replace(own / "anel.toml", node_text(ring, node))


def node_text(ring: dict[str, Any], node: dict[str, Any]) -> str:
    """Write the settings of one node of the ring."""
    members = "".join(
        f"""
[[initial_ring]]
node_id = "{member["node_id"]}"
address = "{member["internode"]}"
tokens = {member["tokens"]}
"""
        for member in ring["nodes"]
    )
    return f"""\
# Node {node["node"]}, written anew by each `anel up`: changes made here are lost.
# Bounds can be set for all nodes by variables: ANEL_LIMITS_..., ANEL_RESP_CONSISTENCY.
cluster_name = "{ring["cluster_name"]}"
data = "."
node_id = "{node["node_id"]}"
has_served = {"true" if node.get("has_served") else "false"}
tokens = {node["tokens"]}
durability = "{ring["durability"]}"
replication = {ring["replication"]}

[listen]
resp = "{node["resp"]}"
http = "{node["http"]}"
cql = "{node["cql"]}"
internode = "{node["internode"]}"
{members}"""


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)

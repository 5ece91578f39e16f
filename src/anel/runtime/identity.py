"""Who a node is, kept in `node.json`: its id for life, its generation, its ring's name.

The generation grows by one at each start, durably, before the node says anything to anyone: it
tells peers a restarted node from its former life.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from anel.env import NodeId
from anel.errors import ConfigurationError, UnknownFormat
from anel.storage.folder import write_durably

FORMAT = 1  # Of node.json and of the folder around it. On disk since format 1.
STORE = "store"  # The store's own folder beside node.json.
_NAME = "node.json"


class Identity(NamedTuple):
    """What `node.json` says, as of this start.

    Attributes:
        has_store: A store was made here before: should it be gone, that is damage.
    """

    node: NodeId
    generation: int
    cluster_name: str
    has_store: bool = False


def begin_life(data: Path, cluster_name: str, wanted: NodeId | None) -> Identity:
    """Note the next generation durably; draw an id at the first start.

    Args:
        data: The node's folder; made when absent.
        cluster_name: As configured; it never changes.
        wanted: The configured id; None leaves the choice to the first start.

    Raises:
        UnknownFormat: Another release wrote `node.json`; nothing was touched.
        ConfigurationError: It cannot be read, or the settings contradict it.
    """
    data.mkdir(parents=True, exist_ok=True)
    kept = _read(data)
    has_store = kept is not None and kept.has_store
    if kept is None:
        node = wanted or _draw(data)
        generation = 1
    else:
        node = kept.node
        generation = kept.generation + 1
        if wanted is not None and wanted != node:
            raise ConfigurationError(
                f"node_id is {wanted.hex()} and {data / _NAME} says {node.hex()}; a node keeps "
                "its id for life: give this one another data folder, or leave node_id empty"
            )
        if kept.cluster_name != cluster_name:
            raise ConfigurationError(
                f"cluster_name is {cluster_name!r} and {data / _NAME} says "
                f"{kept.cluster_name!r}; use the old name or another data folder"
            )
    identity = Identity(node, generation, cluster_name, has_store)
    _write(data, identity)
    return identity


def note_store(data: Path, identity: Identity) -> None:
    """Note durably that the node has a store from now on; call before anything lies in it."""
    if not identity.has_store:
        _write(data, identity._replace(has_store=True))


def _write(data: Path, identity: Identity) -> None:
    text = {
        "format": FORMAT,
        "node_id": identity.node.hex(),
        "generation": identity.generation,
        "cluster_name": identity.cluster_name,
        "has_store": identity.has_store,
    }
    write_durably(data / _NAME, json.dumps(text) + "\n")


def _draw(data: Path) -> NodeId:
    if (data / STORE / "FORMAT").exists():
        raise ConfigurationError(
            f"{data / _NAME} is missing although {data} holds a store: put the file back, or "
            "set node_id to the node's id, which its log and its peers know"
        )
    return NodeId(os.urandom(16))


def _read(data: Path) -> Identity | None:
    path = data / _NAME
    try:
        kept = json.loads(path.read_bytes())
        found = kept["format"]
        if found == FORMAT:
            node = NodeId(bytes.fromhex(kept["node_id"]))
            name = str(kept["cluster_name"])
            return Identity(node, int(kept["generation"]), name, bool(kept.get("has_store")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}); restore it, or remove it and set node_id to the "
            "node's id (its logs and its peers know it)"
        ) from error
    raise UnknownFormat(
        f"{path} has format {found!r} and this release reads {FORMAT}: start the release that "
        "wrote it, or use another data folder"
    )

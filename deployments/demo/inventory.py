"""The demo's inventory: written as a person would write it, so that it can be read and changed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from ruamel.yaml import YAML

from deployments.demo.database import Shop
from deployments.demo.leftovers import HERE
from deployments.demo.place import Place

CLUSTER = "shop-demo"
STORE = "demo-folder"
_MODULE = "deployments.demo.application"
_NO_WRAPPING = 4096


def write_inventory(place: Place, shop: Shop, health_port: int, *, cluster: str = CLUSTER) -> Path:
    """Write inventory.yaml, the secret that it refers to, and the application's settings."""
    secret = place.folder / "replication.secret"
    secret.touch(mode=0o600)
    secret.write_text(shop.password)
    settings = {"user": place.user, "port": health_port, "conninfo": shop.conninfo}
    (place.application / "settings.json").write_text(json.dumps(settings))
    tree = {
        "stores": {STORE: {"location": {"kind": "folder", "path": str(place.store)}}},
        "clusters": {cluster: _cluster(place, shop, health_port, secret)},
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = _NO_WRAPPING
    yaml.dump(tree, text)
    path = place.folder / "inventory.yaml"
    path.write_text(text.getvalue())
    return path


def _cluster(place: Place, shop: Shop, health_port: int, secret: Path) -> dict[str, object]:
    node = shop.node.model_dump(mode="json", exclude_defaults=True)
    node["os_user"] = shop.node.os_user
    node["service"] = shop.node.service.model_dump(mode="json")
    return {
        "nodes": [node],
        "backups": {"store": STORE},
        "replication": {"user": "postgres"},
        "replication_password": {"file": str(secret)},
        "apps": [
            {
                "name": "shop-app",
                "host": {"name": HERE},
                "managed_by": {
                    "kind": "commands",
                    "start_command": _command("start", place),
                    "stop_command": _command("stop", place),
                    "running_command": _command("running", place),
                },
            }
        ],
        "health": [{"name": "shop", "url": f"http://127.0.0.1:{health_port}/health"}],
    }


def _command(verb: str, place: Place) -> list[str]:
    return [sys.executable, "-m", _MODULE, verb, str(place.application)]

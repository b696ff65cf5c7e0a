"""Skerry as its neighbours see it: `skerry serve` in a process of its own, started like any other program."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peers.keystone import GLANCE, PASSWORD, Keystone
from peers.process import HOST, Daemon, Peer, answers_http, free_port

Settings = Mapping[str, Mapping[str, Any]]


class Skerry(Peer):
    """One site on loopback, with everything it keeps in `folder`.

    With a Keystone its callers are known by it, and its own account there is Glance's service user.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings | None = None,
        *,
        keystone: Keystone | None = None,
        port: int | None = None,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        sections: dict[str, dict[str, Any]] = {
            "site": {"name": folder.name, "data": str(folder / "data")},
            "api": {"listen": f"{HOST}:{self.port}"},
        }
        if keystone is not None:
            sections["identity"] = {"method": "keystone"}
            sections["keystone"] = {
                "auth_url": keystone.auth_url,
                "username": GLANCE.name,
                "password": PASSWORD,
                "project_name": GLANCE.project,
            }
        for name, keys in (settings or {}).items():
            sections.setdefault(name, {}).update(keys)
        folder.mkdir(parents=True, exist_ok=True)
        conf = folder / "skerry.toml"
        conf.write_text("".join(_table(name, keys) for name, keys in sections.items()))
        command = (Path(sys.executable).parent / "skerry", "serve", "--config", conf)
        self.daemon = Daemon(
            f"skerry {folder.name}", command, folder / "log", lambda: answers_http(f"{self.url}/healthcheck")
        )


def _table(name: str, keys: Mapping[str, Any]) -> str:
    # strings, numbers, booleans and lists of them look the same in JSON and in TOML
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return f"[{name}]\n{''.join(lines)}\n"

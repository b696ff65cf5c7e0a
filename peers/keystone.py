"""A real Keystone with the accounts that the tests use."""

from __future__ import annotations

import getpass
import grp
import json
import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from peers import uwsgi
from peers.http import Answer, request
from peers.install import environment
from peers.mariadb import MariaDB
from peers.process import HOST, Peer, PeerError, free_port, run

PASSWORD = "peers-secret"
REGION = "RegionOne"
INTERFACES = ("public", "internal", "admin")

CONF = """\
[DEFAULT]
log_file = {folder}/keystone.log
use_stderr = false
[database]
connection = {database}
[token]
provider = fernet
expiration = 14400
[fernet_tokens]
key_repository = {folder}/fernet-keys
[identity]
# each command of a test logs in anew; the usual twelve rounds take a quarter of a second each time
password_hash_rounds = 4
[credential]
key_repository = {folder}/credential-keys
[oslo_messaging_notifications]
driver = noop
[oslo_concurrency]
lock_path = {folder}/lock
"""


@dataclass(frozen=True)
class Account:
    """A user with roles on one project."""

    name: str
    project: str
    roles: tuple[str, ...]


ADMIN = Account("admin", "admin", ("admin",))
DEMO = Account("demo", "demo", ("member",))
ALT_DEMO = Account("alt_demo", "alt_demo", ("member",))
DEMO_READER = Account("demo_reader", "demo", ("reader",))
GLANCE = Account("glance", "service", ("admin", "service"))


class Keystone(Peer):
    """Keystone under uWSGI; all accounts have the password `PASSWORD`."""

    def __init__(self, folder: Path, database: MariaDB, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.auth_url = f"http://{HOST}:{self.port}/v3"
        self._database = database
        self._admin_token = ""
        folder.mkdir(parents=True, exist_ok=True)
        self.daemon = uwsgi.service(
            "keystone", folder, "keystone.wsgi.api:application", self.port, "/v3",
            workers=2, threads=2, env={"OS_KEYSTONE_CONFIG_DIR": str(folder)},
        )  # fmt: skip

    def start(self) -> None:
        if (self.folder / "keystone.conf").exists():
            super().start()
            return
        for name in ("fernet-keys", "credential-keys"):
            (self.folder / name).mkdir(mode=0o700)
        conf = CONF.format(folder=self.folder, database=self._database.url("keystone"))
        (self.folder / "keystone.conf").write_text(conf)
        keys = ("--keystone-user", getpass.getuser(), "--keystone-group", grp.getgrgid(os.getgid()).gr_name)
        self._manage("db_sync")
        self._manage("fernet_setup", *keys)
        self._manage("credential_setup", *keys)
        urls = [f"--bootstrap-{interface}-url={self.auth_url}" for interface in INTERFACES]
        self._manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", REGION, *urls)
        super().start()
        self._create_accounts()

    def credentials(self, account: Account, region: str = REGION) -> dict[str, str]:
        """The OS_* variables with which the `openstack` command is this account in this region."""
        return {
            "OS_AUTH_URL": self.auth_url,
            "OS_USERNAME": account.name,
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": account.project,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": region,
        }

    def token(self, account: Account) -> str:
        """A fresh token of the account, scoped to its project."""
        domain = {"id": "default"}
        user = {"name": account.name, "domain": domain, "password": PASSWORD}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": account.project, "domain": domain}},
        }
        return str(self._request("POST", "/auth/tokens", {"auth": auth}).headers["X-Subject-Token"])

    def limited_token(self, account: Account, rule: dict[str, str]) -> str:
        """A token of an application credential of the account, which its access rule lets do one thing."""
        user = self._get("users", name=account.name)[0]["id"]
        body = {"application_credential": {"name": uuid4().hex, "access_rules": [rule]}}
        path = f"/users/{user}/application_credentials"
        created = self._request("POST", path, body, token=self.token(account)).json()[
            "application_credential"
        ]
        credential = {"id": created["id"], "secret": created["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": credential}
        answer = self._request("POST", "/auth/tokens", {"auth": {"identity": identity}})
        return str(answer.headers["X-Subject-Token"])

    def revoke(self, token: str) -> None:
        self._request("DELETE", "/auth/tokens", token=token, **{"X-Subject-Token": token})

    def headers(self, account: Account) -> dict[str, str]:
        """The headers of a request by this account."""
        return {"X-Auth-Token": self.token(account)}

    def project_id(self, name: str) -> str:
        return str(self._get("projects", name=name)[0]["id"])

    def register(self, url: str, region: str = REGION, kind: str = "image") -> None:
        """Put a service into the catalogue: `url` is what clients of `region` get for `kind`."""
        if not any(known["id"] == region for known in self._get("regions")):
            self._create("region", id=region)
            self.register(self.auth_url, region, "identity")
        found = self._get("services", type=kind)
        service = found[0] if found else self._create("service", type=kind, name=kind)
        for endpoint in self._get("endpoints", service_id=service["id"], region_id=region):
            self._admin("DELETE", f"/endpoints/{endpoint['id']}")
        for interface in INTERFACES:
            self._create("endpoint", service_id=service["id"], interface=interface, url=url, region_id=region)

    def _create_accounts(self) -> None:
        roles = {role["name"]: role["id"] for role in self._get("roles")}
        projects = {project["name"]: project["id"] for project in self._get("projects")}
        for account in (DEMO, ALT_DEMO, DEMO_READER, GLANCE):
            if account.project not in projects:
                project = self._create("project", name=account.project, domain_id="default")
                projects[account.project] = project["id"]
            user = self._create("user", name=account.name, password=PASSWORD, domain_id="default")["id"]
            for role in account.roles:
                if role not in roles:
                    roles[role] = self._create("role", name=role)["id"]
                self._admin("PUT", f"/projects/{projects[account.project]}/users/{user}/roles/{roles[role]}")

    def _manage(self, *words: str) -> None:
        manage = environment("server") / "bin" / "keystone-manage"
        run(manage, "--config-file", self.folder / "keystone.conf", *words, env={"PYTHONWARNINGS": "ignore"})

    def _get(self, collection: str, **query: str) -> list[dict[str, Any]]:
        answer = self._admin("GET", f"/{collection}?{urllib.parse.urlencode(query)}")
        return list(answer.json()[collection])

    def _create(self, kind: str, **fields: str) -> dict[str, Any]:
        return dict(self._admin("POST", f"/{kind}s", {kind: fields}).json()[kind])

    def _admin(self, method: str, path: str, body: object = None) -> Answer:
        if not self._admin_token:
            self._admin_token = self.token(ADMIN)
        return self._request(method, path, body, token=self._admin_token)

    def _request(
        self, method: str, path: str, body: object = None, *, token: str = "", **headers: str
    ) -> Answer:
        headers = {"Content-Type": "application/json", "X-Auth-Token": token, **headers}
        content = None if body is None else json.dumps(body).encode()
        answer = request(method, self.auth_url + path, content, headers)
        if answer.status >= 400:
            raise PeerError(f"keystone: {method} {path}: {answer.status} {answer.body.decode()}")
        return answer

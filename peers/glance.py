"""A stock Glance: the service that Skerry stands beside, behind, or in place of."""

from __future__ import annotations

import shutil
from pathlib import Path

from peers import uwsgi
from peers.install import environment
from peers.keystone import GLANCE, PASSWORD, Keystone
from peers.mariadb import MariaDB
from peers.process import HOST, Peer, free_port, run

CONF = """\
[DEFAULT]
log_file = {folder}/glance.log
use_stderr = false
enabled_backends = local:file{more_stores}
show_multiple_locations = {locations}
enabled_import_methods = [glance-direct,web-download,copy-image]
worker_self_reference_url = {url}
image_cache_dir = {folder}/cache
[glance_store]
default_backend = local
[local]
filesystem_store_datadir = {folder}/store
[web]
https_insecure = false
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[database]
connection = {database}
[import_filtering_opts]
# Glance refuses loopback hosts, and any port but 80 and 443, for web-download
allowed_schemes = [http]
allowed_hosts = [{host}]
allowed_ports = [{web_port}]
[paste_deploy]
flavor = {flavor}
[wsgi]
python_interpreter = {python}
[oslo_concurrency]
lock_path = {folder}/lock
[oslo_messaging_notifications]
driver = noop
"""

KEYSTONE_CONF = """\
[keystone_authtoken]
www_authenticate_uri = {auth_url}
auth_url = {auth_url}
auth_type = password
username = {account.name}
password = {password}
project_name = {account.project}
user_domain_id = default
project_domain_id = default
service_token_roles_required = true
"""


class Glance(Peer):
    """Glance under uWSGI with a file store and its own cache.

    `flavor` is Glance's paste flavour; without a Keystone it must be one without `keystone` in it. `web_port`
    is the one port on loopback that web-download may fetch from. With `by_web` it also takes images whose
    bytes are elsewhere, by their address (`locations`), as at a place whose store is at another.
    """

    def __init__(
        self,
        folder: Path,
        database: MariaDB,
        keystone: Keystone | None,
        *,
        flavor: str = "keystone+cachemanagement",
        port: int | None = None,
        workers: int = 2,
        web_port: int = 80,
        by_web: bool = False,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._database = database
        for name in ("store", "staging", "tasks", "cache", "lock"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        server = environment("server")
        conf = CONF.format(
            folder=folder, url=self.url, host=HOST, web_port=web_port, flavor=flavor,
            more_stores=",web:http" if by_web else "", locations=str(by_web).lower(),
            database=database.url("glance"), python=server / "bin" / "python",
        )  # fmt: skip
        if keystone is not None:
            conf += KEYSTONE_CONF.format(auth_url=keystone.auth_url, account=GLANCE, password=PASSWORD)
        (folder / "glance-api.conf").write_text(conf)
        shutil.copy(server / "etc" / "glance" / "glance-api-paste.ini", folder)
        self.daemon = uwsgi.service(
            "glance", folder, "glance.wsgi.api:application", self.port, "/healthcheck",
            workers=workers, threads=1, env={"OS_GLANCE_CONFIG_DIR": str(folder)},
        )  # fmt: skip

    def start(self) -> None:
        manage, conf = environment("server") / "bin" / "glance-manage", self.folder / "glance-api.conf"
        run(manage, "--config-file", conf, "db_sync", env={"PYTHONWARNINGS": "ignore"})
        super().start()

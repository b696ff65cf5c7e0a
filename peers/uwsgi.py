"""How OpenStack's guides run an API service: uWSGI, here without a proxy in front."""

from __future__ import annotations

from pathlib import Path

from peers.install import environment
from peers.process import HOST, Daemon, answers_http

INI = """\
[uwsgi]
module = {module}
http-socket = {host}:{port}
master = true
processes = {workers}
threads = {threads}
enable-threads = true
lazy-apps = true
need-app = true
die-on-term = true
worker-reload-mercy = 10
thunder-lock = true
buffer-size = 65535
socket-timeout = 30
http-raw-body = true
http-chunked-input = true
chunked-input-limit = 33554432
chunked-input-timeout = 60
http-auto-chunked = true
add-header = Connection: close
disable-logging = true
"""


def service(
    name: str,
    folder: Path,
    module: str,
    port: int,
    probe: str,
    *,
    workers: int,
    threads: int,
    env: dict[str, str],
) -> Daemon:
    """A WSGI application under uWSGI on loopback, which answers once `probe` (a path) does."""
    ini = folder / "uwsgi.ini"
    ini.write_text(INI.format(module=module, host=HOST, port=port, workers=workers, threads=threads))
    binaries = environment("server") / "bin"
    return Daemon(
        name,
        (binaries / "uwsgi", "--ini", ini),
        folder / "log",
        lambda: answers_http(f"http://{HOST}:{port}{probe}"),
        env={"PYTHONWARNINGS": "ignore", **env},
    )

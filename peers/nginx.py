"""nginx serving a folder with sendfile: the measure for downloads, and the web for web-download."""

from __future__ import annotations

from pathlib import Path

from peers.install import unpacked
from peers.process import HOST, Daemon, Peer, answers_http, free_port

CONF = """\
daemon off;
user root;
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    sendfile on;
    tcp_nopush on;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        root {served};
    }}
}}
"""


class Nginx(Peer):
    """nginx on loopback; the file `name` in `served` is at `url(name)`."""

    def __init__(self, folder: Path, served: Path, port: int | None = None, workers: int = 1) -> None:
        self.served = served
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        conf = folder / "nginx.conf"
        conf.write_text(CONF.format(folder=folder, served=served, host=HOST, port=self.port, workers=workers))
        command = (unpacked("nginx") / "usr/sbin/nginx", "-e", folder / "error.log", "-p", folder, "-c", conf)
        self.daemon = Daemon("nginx", command, folder / "log", lambda: answers_http(self.url("")))

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.port}/{name}"

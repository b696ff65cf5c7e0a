"""`python -m peers install` and `python -m peers up NAME...`, for a person."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import signal
from pathlib import Path

from peers import images
from peers.glance import Glance
from peers.install import HOME, install
from peers.keystone import DEMO, Keystone
from peers.mariadb import MariaDB
from peers.nginx import Nginx


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m peers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help=f"get everything into {HOME}")
    up = commands.add_parser("up", help="start programs afresh, in the foreground; Ctrl-C stops them")
    up.add_argument("names", nargs="+", choices=["keystone", "glance", "nginx"])
    up.add_argument("--keystone-port", type=int, default=5000)
    up.add_argument("--glance-port", type=int, default=9292)
    up.add_argument("--nginx-port", type=int, default=9080)
    up.add_argument("--serve", type=Path, default=HOME / "images", help="the folder that nginx serves")
    arguments = parser.parse_args()
    install()
    if arguments.command == "install":
        print(images.bootable_iso(), images.debian_qcow2(), sep="\n")
        return
    with contextlib.ExitStack() as running:
        _start(arguments, running)
        print("Ctrl-C stops everything.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


def _start(arguments: argparse.Namespace, running: contextlib.ExitStack) -> None:
    folder = HOME / "up"
    shutil.rmtree(folder, ignore_errors=True)
    if "nginx" in arguments.names:
        nginx = Nginx(folder / "nginx", arguments.serve.resolve(), arguments.nginx_port)
        running.enter_context(nginx)
        print(f"nginx      {nginx.url('')}")
    if {"keystone", "glance"}.isdisjoint(arguments.names):
        return
    database = running.enter_context(MariaDB(folder / "mariadb"))
    keystone = running.enter_context(Keystone(folder / "keystone", database, arguments.keystone_port))
    print(f"keystone   {keystone.auth_url}")
    if "glance" in arguments.names:
        ports = {"port": arguments.glance_port, "web_port": arguments.nginx_port}
        glance = running.enter_context(Glance(folder / "glance", database, keystone, **ports))
        keystone.register(glance.url)
        print(f"glance     {glance.url}")
    for key, value in keystone.credentials(DEMO).items():
        print(f"export {key}={shlex.quote(value)}")


if __name__ == "__main__":
    main()

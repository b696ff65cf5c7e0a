"""The `openstack` command and openstacksdk, unmodified, as one person at one site."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.install import environment
from peers.process import PeerError

PRELUDE = """\
import json, sys, openstack
given = json.loads(sys.argv[1])
cloud = openstack.connect(load_yaml_config=False)
image = cloud.image
"""


@dataclass(frozen=True)
class Client:
    """Whoever the OS_* variables in `variables` say; nothing of the caller's own OS_* variables is seen."""

    variables: Mapping[str, str]

    def run(self, *words: str | Path) -> str:
        """`openstack WORDS`: what it printed; `PeerError` with what it complained about when it failed."""
        done = self._run(environment("client") / "bin" / "openstack", *words)
        if done.returncode:
            raise PeerError(f"openstack {' '.join(map(str, words))}: {done.stderr or done.stdout}")
        return done.stdout

    def json(self, *words: str | Path) -> Any:
        """`openstack WORDS -f json`, decoded."""
        return json.loads(self.run(*words, "-f", "json"))

    def refusal(self, *words: str | Path) -> str:
        """What `openstack WORDS` complains about; an AssertionError when it succeeds."""
        done = self._run(environment("client") / "bin" / "openstack", *words)
        assert done.returncode != 0, f"openstack {' '.join(map(str, words))} succeeded: {done.stdout}"
        return done.stderr + done.stdout

    def sdk(self, code: str, **given: Any) -> Any:
        """Run Python code with openstacksdk and return what it assigned to `result`.

        The code sees `cloud` (the connection), `image` (`cloud.image`) and `given` (a dict).
        """
        program = f"{PRELUDE}{textwrap.dedent(code)}\nprint(json.dumps(result))\n"
        python = environment("client") / "bin" / "python"
        done = self._run(python, "-c", program, json.dumps(given, default=str))
        if done.returncode:
            raise PeerError(f"openstacksdk: {done.stderr}")
        return json.loads(done.stdout)

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        env = {**inherited, **self.variables}
        words = [str(word) for word in command]
        # without --file, `openstack image create` reads standard input unless that is a terminal
        ours, terminal = pty.openpty()
        try:
            return subprocess.run(words, env=env, stdin=terminal, capture_output=True, text=True, timeout=300)
        finally:
            os.close(ours)
            os.close(terminal)

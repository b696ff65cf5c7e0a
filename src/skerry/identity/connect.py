"""The identities that the configuration asks for: the callers', and this site's own."""

from skerry.config import Config
from skerry.core.clock import Clock
from skerry.identity.base import Identity
from skerry.identity.credential import Credential, FixedCredential, KeystoneCredential
from skerry.identity.http_basic import HttpBasic
from skerry.identity.keystone import Keystone
from skerry.identity.keystones import Keystones
from skerry.identity.noauth import NoAuth
from skerry.identity.policy import Policy


def connect(config: Config, policy: Policy, clock: Clock, *, saves: bool = True) -> Identity:
    """How this site knows its callers. `policy` says who of them is an administrator. Raises ConfigError.

    Only one process of a site `saves` what it learns of them.
    """
    match config.identity.method:
        case "noauth":
            return NoAuth()
        case "http_basic":
            return HttpBasic(config.identity, policy)
        case "keystone":
            return Keystone(config.keystone, policy, clock, config.data, saves=saves)


def upstream_credential(config: Config, clock: Clock) -> Credential:
    """What this site shows its upstream, by `[upstream] auth`. Raises ConfigError."""
    section = config.upstream
    if section.auth == "keystone":
        return KeystoneCredential(Keystones(config.keystone, clock), clock)
    if section.auth == "http_basic":
        return FixedCredential.basic(section.username, section.password)
    return FixedCredential()

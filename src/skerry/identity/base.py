"""The one question that identity answers."""

from collections.abc import Mapping
from typing import Protocol

from skerry.core.caller import Caller


class Identity(Protocol):
    """A way to know who is asking."""

    challenge: str
    """The WWW-Authenticate header of a 401, for example `Keystone uri="https://..."`."""

    def known(self, headers: Mapping[str, str]) -> Caller | None:
        """The caller if the credential was checked lately: no waiting, for the hot path. Never raises."""
        ...

    async def identify(self, headers: Mapping[str, str], *, write: bool) -> Caller:
        """The caller, asking the identity service when needed.

        A caller known only from an old check may not write.
        Raises NotAuthenticated, and IdentityAway when nobody can say.
        """
        ...

    async def close(self) -> None:
        """Give back what is held."""
        ...

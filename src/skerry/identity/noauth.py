"""Nobody is asked who they are: for one machine, listening on loopback alone (`config` sees to that)."""

from collections.abc import Mapping

from skerry.core.caller import Caller

EVERYBODY = Caller(
    user_id="admin", project_id="default", roles=frozenset({"admin", "member", "reader"}), is_admin=True
)


class NoAuth:
    """Everybody is the administrator, in the project `default`; credentials are not looked at."""

    challenge = ""

    def known(self, headers: Mapping[str, str]) -> Caller:
        """The administrator."""
        return EVERYBODY

    async def identify(self, headers: Mapping[str, str], *, write: bool) -> Caller:
        """The administrator."""
        return EVERYBODY

    async def close(self) -> None:
        """Nothing is held."""

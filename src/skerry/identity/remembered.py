"""What is remembered of tokens that Keystone knew: fresh ones, old ones, and when each is over."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from skerry.core.caller import Caller
from skerry.core.clock import Clock
from skerry.identity.kept import Kept, Snapshot
from skerry.identity.policy import Policy
from skerry.identity.seen import Seen

_MOST = 10_000
_SETTLE = 5.0
"""Seconds in which changes are gathered before the file is written; those are lost in a crash."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A caller and until when the check is believed without asking again (monotonic seconds)."""

    caller: Caller
    fresh_until: float


class Steady:
    """Wall time that does not run back, also over a restart.

    A clock that is set back (a board without a battery starts in 1970) would give old tokens a second life.
    So `now` is never before `at_least`, a moment that has been, and the time passed since.
    """

    def __init__(self, clock: Clock, at_least: float) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        self._least = at_least

    def now(self) -> float:
        """Seconds since the epoch."""
        lived = self._clock.monotonic() - self._since
        return max(self._clock.now().timestamp(), self._least + lived)

    def not_yet(self, moment: float) -> None:
        """Learn that `moment` is to come. If it seems past, the clock was ahead: take it as it is now."""
        if self.now() >= moment:
            self._since = self._clock.monotonic()
            self._least = self._clock.now().timestamp()


class Remembered:
    """Callers by the digests of their tokens, in memory and in a file of `folder`, 10,000 at most.

    A check is fresh for `believed` seconds, and old until the token's own expiry. A restart makes all old.
    `policy` says anew who of the old ones is an administrator.
    """

    def __init__(
        self, folder: Path, policy: Policy, clock: Clock, believed: float, *, saves: bool = True
    ) -> None:
        self._kept = Kept(folder, saves=saves)
        self._policy = policy
        self._clock = clock
        self._believed = believed
        self._seen: Seen[_Checked] = Seen(_MOST, self._kept.key)
        self._unsaved = False
        self._hurry = asyncio.Event()
        self._saver: asyncio.Task[None] | None = None
        found = self._kept.load()
        self._time = Steady(clock, max(found.as_of, clock.now().timestamp()))
        for key, caller in found.callers.items():
            self._seen.put(key, _Checked(caller, fresh_until=0.0))

    def key(self, token: str) -> bytes:
        """What stands for a token here."""
        return self._seen.key(token)

    def fresh(self, key: bytes) -> Caller | None:
        """The caller, if the token was checked lately."""
        checked = self._seen.get(key)
        if checked is not None and self._clock.monotonic() < checked.fresh_until:
            return checked.caller
        return None

    def old(self, key: bytes) -> Caller | None:
        """The caller, if the token was ever checked and has not expired since."""
        checked = self._seen.get(key)
        if checked is None or not self._alive(checked):
            return None
        caller = replace(checked.caller, is_admin=False)
        return replace(caller, is_admin=self._policy.is_admin(caller))

    def put(self, key: bytes, caller: Caller) -> None:
        """Remember a check that was made just now."""
        expires_at = caller.expires_at or 0.0
        self._time.not_yet(expires_at)
        known = self._seen.get(key)
        left = expires_at - self._time.now()
        self._seen.put(key, _Checked(caller, self._clock.monotonic() + min(self._believed, left)))
        if known is None or known.caller != caller:
            self._save_soon()

    async def drop(self, key: bytes) -> None:
        """Forget a token; when this returns it stays forgotten after a crash as well, if the disk is able."""
        if self._seen.get(key) is not None:
            self._seen.drop(key)
            await self._save_now()

    async def close(self) -> None:
        """Write all down, as of now."""
        await self._save_now()

    def _alive(self, checked: _Checked) -> bool:
        return (checked.caller.expires_at or 0.0) > self._time.now()

    def _save_soon(self) -> asyncio.Task[None]:
        self._unsaved = True
        if self._saver is None or self._saver.done():
            self._hurry.clear()
            self._saver = asyncio.create_task(self._save(), name="keep-tokens")
        return self._saver

    async def _save_now(self) -> None:
        saver = self._save_soon()
        self._hurry.set()
        await asyncio.shield(saver)

    async def _save(self) -> None:
        """Write until nothing is left to write, or the disk fails: then the next change tries again."""
        while self._unsaved:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), _SETTLE)
            self._unsaved = False
            if not await asyncio.to_thread(self._kept.save, self._snapshot()):
                self._unsaved = True
                return

    def _snapshot(self) -> Snapshot:
        """What is worth keeping; expired tokens go here."""
        for key in [key for key, checked in self._seen.items() if not self._alive(checked)]:
            self._seen.drop(key)
        callers = {key: checked.caller for key, checked in self._seen.items()}
        return Snapshot(self._time.now(), callers)

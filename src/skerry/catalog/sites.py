"""The sites of the federation, as the centre has entered them in its journal, and who may still join."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.schema import invitations
from skerry.core.clock import Clock
from skerry.core.enrolment import Invitation, Request, admit
from skerry.core.errors import Conflict, NotFound
from skerry.core.feed.entry import Kind, Stream
from skerry.core.feed.follow import Change
from skerry.core.feed.offer import MayRead
from skerry.core.signing import PublicKey
from skerry.core.site import (
    SiteRecord,
    SiteState,
    all_below,
    check_admitted,
    check_removable,
    children,
    is_another,
    site_from_body,
    site_to_body,
)
from skerry.core.write_points import reached

Rule = Callable[[Mapping[str, SiteRecord], SiteRecord], SiteRecord]
"""From all sites, and one of them, to what shall become of that one."""


class Sites:
    """All sites, in memory: a `sync.family.Family`. The centre writes them; elsewhere the feed brings them.

    `name` is this site, `centre` is that of the centre, `keys` are those that it is trusted to have in any
    case.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        clock: Clock,
        *,
        name: str,
        centre: str,
        keys: tuple[PublicKey, ...] = (),
    ) -> None:
        self.name = name
        self.centre = centre
        self._database = database
        self._journal = journal
        self._clock = clock
        self._trusted = keys
        self._sites: dict[str, SiteRecord] = {}
        self._children: Mapping[str, Sequence[str]] = {}

    async def load(self) -> None:
        """Read what the journal has. Call once, before anything else."""
        self._know(await self._database.read(self._read_on))
        if self.centre in self._sites:
            await self._drop({stream.home for stream in self._journal.streams()} - self._sites.keys())

    # Reading

    def all(self) -> Mapping[str, SiteRecord]:
        """Every site by its name, as of the last change that has landed."""
        return self._sites

    def get(self, name: str) -> SiteRecord:
        """One site. Raises NotFound."""
        return _one(self._sites, name)

    def keys(self, home: str) -> tuple[PublicKey, ...]:
        """The keys by which the entries of a home are known, newest first; none when it is unknown."""
        record = self._sites.get(home)
        known = record.keys if record is not None else ()
        if home != self.centre:
            return known
        return (*known, *(key for key in self._trusted if key not in known))

    def check(self, name: str, key: PublicKey | None) -> None:
        """Raise Forbidden unless this site is let in, at this moment, with this key (None: not looked at)."""
        check_admitted(self._sites.get(name), name, key, self._clock.now())

    def subtree(self, site: str) -> frozenset[str]:
        """A site and all that are below it. Costs nothing to speak of: it is asked for at each poll."""
        return all_below(self._children, site)

    def may_read(self, site: str, stream: Stream) -> MayRead | None:
        """What of a stream a site may read: all of it, until there are rules about that."""
        return None

    async def learn(self, stream: Stream, changes: Sequence[Change]) -> None:
        """Follow a page that has landed; only the centre has anything to say about sites."""
        if stream != Stream(self.centre):
            return
        told = [change for change in changes if change.kind is Kind.SITE]
        if not told:
            return
        before, sites = self._sites, dict(self._sites)
        for change in told:
            body = change.entry.body if change.entry is not None else None
            if body is None:
                sites.pop(change.id, None)
            else:
                sites |= _readable({change.id: body})
        self._know(sites)
        await self._drop({name for name, one in before.items() if is_another(one, sites.get(name))})

    # Writing, at the centre

    async def be_centre(self, key: PublicKey, url: str) -> None:
        """Enter the centre itself, once, and again when its URL or its key is another."""

        def work(connection: Connection) -> None:
            now = self._now()
            known = self._read_on(connection).get(self.centre)
            keys = known.keys if known is not None else ()
            if key not in keys:
                keys = (key, *keys)
            record = SiteRecord(
                self.centre,
                None,
                SiteState.ACTIVE,
                labels=known.labels if known is not None else {},
                keys=keys,
                url=url or (known.url if known is not None else ""),
                joined_at=known.joined_at if known is not None else now,
                keyed_at=known.keyed_at if known is not None and keys == known.keys else now,
            )
            if record != known:
                self._enter_on(connection, record)

        await self._database.write(work)

    async def invite(self, record: SiteRecord, token: PublicKey, expires: datetime, rule: Rule) -> SiteRecord:
        """Enter a site that is to join with a token. One that is invited already gets the new token.

        Raises Conflict when the name is taken, and what the rule raises.
        """

        def work(connection: Connection) -> SiteRecord:
            sites = self._read_on(connection)
            known = sites.get(record.name)
            if known is not None and known.state is not SiteState.INVITED:
                raise Conflict(
                    f"There is a site {record.name} already, and it is {known.state}.",
                    hint="Choose another name, or remove that site first.",
                    site=record.name,
                )
            invited = self._enter_on(connection, rule(sites, record))
            connection.execute(delete(invitations).where(invitations.c.site == record.name))
            connection.execute(
                insert(invitations).values(
                    site=record.name, key=token.raw, expires_at=int(expires.timestamp())
                )
            )
            return invited

        return await self._database.write(work)

    async def admit(self, request: Request) -> SiteRecord:
        """Grant what a site asks for, see core.enrolment.admit; record and token in one transaction."""

        def work(connection: Connection) -> SiteRecord:
            known = self._read_on(connection).get(request.site)
            found = connection.execute(
                select(invitations).where(invitations.c.site == request.site).with_for_update()
            ).first()
            admitted = admit(request, known, None if found is None else _invitation(found), self._now())
            if admitted != known:
                self._enter_on(connection, admitted)
                if known is not None and known.state is SiteState.INVITED:
                    used = invitations.update().where(invitations.c.site == request.site)
                    connection.execute(used.values(used_by=request.key.raw))
                    reached("sites.token-used")
            return admitted

        return await self._database.write(work)

    async def change(self, name: str, rule: Rule) -> SiteRecord:
        """Apply a rule to a site. Raises NotFound, and what the rule raises."""

        def work(connection: Connection) -> SiteRecord:
            sites = self._read_on(connection)
            known = _one(sites, name)
            changed = rule(sites, known)
            return changed if changed == known else self._enter_on(connection, changed)

        return await self._database.write(work)

    async def remove(self, name: str) -> None:
        """Forget a site. Raises NotFound, and Conflict when it is needed or works."""

        def work(connection: Connection) -> None:
            sites = self._read_on(connection)
            check_removable(sites, _one(sites, name))
            self._journal.write_on(connection, Kind.SITE, name, None, urgent=True)
            connection.execute(delete(invitations).where(invitations.c.site == name))
            self._database.when_landed(lambda: self._follow(name, None))

        await self._database.write(work, makes_room=True)
        await self._drop({name})

    async def _drop(self, gone: Collection[str]) -> None:
        """Hold the streams of sites no more that are none: their names may be given to others.

        What a crash has left is dropped by the next start.
        """
        for stream in self._journal.streams():
            if stream.home in gone and stream.home != self.name:
                await self._journal.drop(stream)

    # Within a transaction

    def _read_on(self, connection: Connection) -> dict[str, SiteRecord]:
        return _readable(self._journal.objects_on(connection, Kind.SITE, Stream(self.centre)))

    def _enter_on(self, connection: Connection, record: SiteRecord) -> SiteRecord:
        revoked = record.state is SiteState.REVOKED
        self._journal.write_on(connection, Kind.SITE, record.name, site_to_body(record), urgent=revoked)
        self._database.when_landed(lambda: self._follow(record.name, record))
        return record

    def _follow(self, name: str, record: SiteRecord | None) -> None:
        sites = dict(self._sites)
        if record is None:
            sites.pop(name, None)
        else:
            sites[name] = record
        self._know(sites)

    def _know(self, sites: dict[str, SiteRecord]) -> None:
        self._sites = sites
        self._children = children(sites)

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        row.site,
        PublicKey(bytes(row.key)),
        datetime.fromtimestamp(row.expires_at, UTC),
        None if row.used_by is None else PublicKey(bytes(row.used_by)),
    )


def _one(sites: Mapping[str, SiteRecord], name: str) -> SiteRecord:
    if name not in sites:
        raise NotFound(f"There is no site {name}.", site=name)
    return sites[name]


def _readable(bodies: Mapping[str, Mapping[str, object]]) -> dict[str, SiteRecord]:
    """The records among them; what a later version means by others is not known here."""
    sites = {}
    for name, body in bodies.items():
        with suppress(ValueError):
            record = site_from_body(body)
            if record.name == name:
                sites[name] = record
    return sites

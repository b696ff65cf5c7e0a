"""A sign of life that travels with the records, so that a replica knows how old it is.

PostgreSQL has other signs, none of which is right for both kinds of replicas: a standby's last replayed
transaction is old when nothing was written, and what its receiver heard is hidden from ordinary users; a
subscription that was cut off forgets when it last heard. And only this one proves that changes arrive.
"""

import asyncio
import logging

from sqlalchemy import Connection, insert, update

from skerry.catalog.database import Database
from skerry.catalog.schema import HEARTBEAT, counters
from skerry.core.clock import Clock
from skerry.core.errors import SkerryError

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two beats."""


async def beat(database: Database, clock: Clock) -> None:
    """Note the time every so often while other servers follow this database's; until cancelled."""

    def work(connection: Connection) -> None:
        now = int(clock.now().timestamp())
        noted = update(counters).where(counters.c.name == HEARTBEAT).values(value=now)
        if connection.execute(noted).rowcount == 0:
            connection.execute(insert(counters).values(name=HEARTBEAT, value=now))

    while True:
        try:
            if await database.is_replicated():
                await database.write(work)
        except SkerryError as error:
            log.warning("no sign of life for replicas of the database: %s", error)
        await asyncio.sleep(EVERY)

"""The way from an earlier version's tables to this one's, by Alembic. May import `core`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from skerry.core.errors import ConfigError


def configuration() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection, to: str = "head") -> None:
    """Bring the tables up to a version within the caller's transaction. ConfigError when they are newer."""
    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise ConfigError(
            f"The database cannot be brought to this version of Skerry: {error}.",
            hint="Start the version that wrote it, or a newer one.",
        ) from error

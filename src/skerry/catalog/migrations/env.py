"""What Alembic runs to connect: here it works in the transaction that `upgrade` was called in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()

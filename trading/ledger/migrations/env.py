"""Run by Alembic, within the transaction of the connection that `migrate.py` hands over."""

from alembic import context

from durable_orders.trading.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

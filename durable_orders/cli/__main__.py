"""`python -m durable_orders.cli` is `durable-orders`: how `up` starts what runs beside it."""

from durable_orders.cli import main

main()

"""Processes: they build the real parts, run the workers, and keep the embedded server."""

if __name__ == "workers":  # beside the links in `durable_orders/`, a checkout's root would offer each module twice
    from durable_orders.moved import not_by_itself

    raise not_by_itself(__name__)

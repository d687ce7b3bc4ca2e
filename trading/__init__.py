"""The rules of the trade, in plain Python. Nothing in here knows Temporal."""

if __name__ == "trading":  # beside the links in `durable_orders/`, a checkout's root would offer each module twice
    from durable_orders.moved import not_by_itself

    raise not_by_itself(__name__)

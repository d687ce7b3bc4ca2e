"""Every effect on the outside world. Each is a method on a small class that gets its parts in the constructor."""

if __name__ == "activities":  # beside the links in `durable_orders/`, a checkout's root would offer each module twice
    from durable_orders.moved import not_by_itself

    raise not_by_itself(__name__)

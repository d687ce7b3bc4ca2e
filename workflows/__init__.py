"""What must not be forgotten: an order's life, and an account's watch."""

if __name__ == "workflows":  # beside the links in `durable_orders/`, a checkout's root would offer each module twice
    from durable_orders.moved import not_by_itself

    raise not_by_itself(__name__)

"""The ground: an order, what may become of it, and what a broker's book says of it."""

"""GTT (Good Till Triggered): LIMIT orders that wait at the broker until a price is reached."""

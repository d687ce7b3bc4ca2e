"""What must not be forgotten: an order's life, and an account's watch."""

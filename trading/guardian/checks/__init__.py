"""What is checked before an order leaves, by subject."""

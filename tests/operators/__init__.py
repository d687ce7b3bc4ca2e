"""What operators do to a system that runs."""

"""What a strategy is written against, and how one is loaded and called."""

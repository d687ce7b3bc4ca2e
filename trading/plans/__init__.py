"""Orders that belong together: an entry, its stop and its targets, as one plan."""

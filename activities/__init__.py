"""Every effect on the outside world. Each is a method on a small class that gets its parts in the constructor."""

"""The way to flat, without a server."""

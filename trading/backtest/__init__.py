"""Orders without a server: the same lifecycle, checks and paper exchange, in one process and in memory."""

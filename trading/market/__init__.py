"""The market: ticks and the feeds that play them, the instrument master, and when there is a session (IST)."""

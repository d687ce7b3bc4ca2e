"""The caller's own objects (market data, state, journal, throttler, guardian, broker), by whichever names they have."""

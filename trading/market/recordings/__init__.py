"""Recordings of the market: live ticks on their way to one Parquet file for each day and symbol."""

"""Market data as users write it, one class for each of the known ways to ask for a last price."""

from typing import Any

Candle = dict[str, Any]


def candle(close: float, **more: Any) -> Candle:
    return {"open": close, "high": close, "low": close, "close": close, "volume": 1} | more


class LatestCandle:
    def __init__(self, close: float = 100.0) -> None:
        self.close = close

    def get_latest_candle(self, symbol: str, timeframe: str) -> Candle | None:
        return candle(self.close)


class LatestBar:
    def __init__(self, close: float = 100.0) -> None:
        self.close = close

    def get_latest_bar(self, symbol: str, tf: str) -> Candle:
        return candle(self.close)


class Candles:
    def __init__(self, close: float = 100.0) -> None:
        self.close = close

    def get_candles(self, symbol: str, timeframe: str, limit: int = 100) -> list[Candle]:
        return [candle(self.close)]


class CandlesOfAWindow:
    def __init__(self, close: float = 100.0) -> None:
        self.close = close

    def get_candles(self, symbol: str, tf: str, window: int) -> list[Candle]:
        return [candle(1.0), candle(self.close)]


class Window:
    def __init__(self, close: float = 100.0) -> None:
        self.close = close

    def get_window(self, symbol: str, timeframe: str, window_size: int) -> list[Candle]:
        return [candle(self.close)] * window_size


class LatestTick:
    def __init__(self, close: float = 100.0) -> None:
        self.close = close

    def get_latest_tick(self, symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, "ltp": self.close, "bid": self.close - 1, "ask": self.close + 1}


class Ltp:
    def __init__(self, close: float = 100.0) -> None:
        self.close = close

    def get_ltp(self, symbol: str) -> float:
        return self.close


ALL = (LatestCandle, LatestBar, Candles, CandlesOfAWindow, Window, LatestTick, Ltp)

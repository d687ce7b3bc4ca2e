"""Small made files, one of each layout that the sources of candles and ticks have; all of a kind say the same."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

SYMBOL = "NSE:INFY"
TOKEN = 408065
"""Of NSE:INFY in the shipped master."""
FIVE = [("09:15", 100, 102, 99, 101.5, 40), ("09:20", 101.5, 103, 100, 102, 1048), ("09:25", 102, 102.5, 98, 98.5, 60)]
"""Candles of five minutes on 29 April 2025: time (IST), open, high, low, close, volume."""
DAYS = [
    ("2025-04-28", 100, 104, 99, 103, 4000),
    ("2025-04-29", 103, 108, 101, 102, 1048410),
    ("2025-04-30", 102, 103, 95, 97, 3000),
]
OFFSET = timedelta(hours=5, minutes=30)
MONTHS = ("", "JAN", "FEB", "MAR", "APR")

Row = tuple[Any, ...]
Content = str | bytes


def aware(clock: str) -> datetime:
    return datetime.fromisoformat(f"2025-04-29 {clock}:00+05:30")


def lines(header: str, rows: list[Row], each: Callable[..., str], end: str = "\n") -> str:
    return end.join([header, *(each(*row) for row in rows), ""])


def kite(header: str, time: Callable[[str], object], end: str = "\n", after: str = "") -> str:
    return lines(header, FIVE, lambda t, o, h, low, c, v: f"{time(t)},{o},{h},{low},{c},{v}{after}", end)


def stamped(clock: str) -> str:
    return str(aware(clock))


def naive(clock: str) -> str:
    return f"2025-04-29 {clock}:00"


def utc(clock: str) -> str:
    return str(aware(clock).astimezone(UTC))


HEADER = "date,open,high,low,close,volume"
CANDLES_OF_KITE = [[f"2025-04-29T{t}:00+0530", o, h, low, c, v, 0] for t, o, h, low, c, v in FIVE]
AS_DICTS = [
    {"date": stamped(t), "open": o, "high": h, "low": low, "close": c, "volume": v, "oi": 0}
    for t, o, h, low, c, v in FIVE
]
JAVASCRIPT = "Tue Apr 29 2025 {}:00 GMT+0530 (India Standard Time)"

FIVE_MINUTES: dict[str, tuple[str, Content]] = {
    "kite": ("a.csv", kite(HEADER, stamped)),
    "kite, datetime": ("a.csv", kite(HEADER.replace("date", "datetime"), stamped)),
    "kite, naive": ("a.csv", kite(HEADER, naive)),
    "kite, oi": ("a.csv", kite(f"{HEADER},oi", stamped, after=",120")),
    "kite, index": (
        "a.csv",
        lines(
            f",{HEADER}",
            [(n, *row) for n, row in enumerate(FIVE)],
            lambda n, t, *p: f"{n},{stamped(t)},{','.join(map(str, p))}",
        ),
    ),
    "kite, index of times": ("a.csv", kite(HEADER.removeprefix("date"), stamped)),
    "kite, answer": ("a.json", json.dumps({"status": "success", "data": {"candles": CANDLES_OF_KITE}})),
    "kite, dicts": ("a.json", json.dumps(AS_DICTS, indent=1)),
    "json lines": ("a.jsonl", "".join(json.dumps(each) + "\n" for each in AS_DICTS)),
    "json lines named json": ("a.json", "".join(json.dumps(each) + "\n" for each in AS_DICTS)),
    "json, milliseconds": (
        "a.json",
        json.dumps(
            [each | {"date": int(datetime.fromisoformat(str(each["date"])).timestamp() * 1000)} for each in AS_DICTS]
        ),
    ),
    "yahoo": (
        "a.csv",
        lines(
            "Datetime,Open,High,Low,Close,Adj Close,Volume",
            [*FIVE[:2], ("09:22", *["null"] * 5), *FIVE[2:]],
            lambda t, o, h, low, c, v: f"{stamped(t)},{o},{h},{low},{c},{c},{v}",
        ),
    ),
    "yfinance": (
        "a.csv",
        lines(
            "Price,Close,High,Low,Open,Volume\nTicker,INFY.NS,INFY.NS,INFY.NS,INFY.NS,INFY.NS\nDatetime,,,,,",
            FIVE,
            lambda t, o, h, low, c, v: f"{utc(t)},{c},{h},{low},{o},{v}",
        ),
    ),
    "yfinance by ticker": (
        "a.csv",
        lines(
            ",INFY.NS,INFY.NS,INFY.NS,INFY.NS,INFY.NS\n,Open,High,Low,Close,Volume\nDatetime,,,,,",
            FIVE,
            lambda t, o, h, low, c, v: f"{utc(t)},{o},{h},{low},{c},{v}",
        ),
    ),
    "kite chart": ("a.csv", kite("Date,Open,High,Low,Close,Volume", JAVASCRIPT.format)),
    "kite chart, quoted": (
        "a.csv",
        kite('"Date","Open","High","Low","Close","Volume"', lambda t: f'"{JAVASCRIPT.format(t)}"'),
    ),
    "epoch seconds": ("a.csv", kite("time,open,high,low,close,Volume", lambda t: int(aware(t).timestamp()))),
    "epoch milliseconds": (
        "a.csv",
        kite("timestamp,open,high,low,close,volume", lambda t: int(aware(t).timestamp()) * 1000),
    ),
    "date and time apart": ("a.csv", kite("Date,Time,Open,High,Low,Close,Volume", lambda t: f"20250429,{t}")),
    "date and time apart, days first": (
        "a.csv",
        kite("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", lambda t: f"29/04/2025,{t}:00"),
    ),
    "months first": (
        "a.csv",
        kite("date,open,high,low,close,volume", lambda t: f"04/29/2025 {int(t[:2])}{t[2:]}:00 AM"),
    ),
    "named months": ("a.csv", kite(HEADER, lambda t: f"29-Apr-2025 {t}")),
    "indicators": ("a.csv", kite(f"{HEADER},SMA_20,RSI,Signal", stamped, after=",101.2,55.1,")),
    "capitals, padded": ("a.csv", kite(" Date , OPEN , HIGH , LOW , CLOSE , VOLUME ", stamped)),
    "newest first": ("a.csv", lines(HEADER, FIVE[::-1], lambda t, *p: f"{stamped(t)},{','.join(map(str, p))}")),
    "semicolons": ("a.csv", kite(HEADER, stamped).replace(",", ";")),
    "float noise": (
        "a.csv",
        kite(HEADER, stamped).replace("101.5,", "101.49999999999999,").replace(",98.5", ",98.50000000000001"),
    ),
    "gzip": ("a.csv.gz", gzip.compress(kite(HEADER, stamped).encode())),
    "utf-16": ("a.csv", kite(HEADER, stamped).replace(",", "\t").encode("utf-16")),
    "utf-8 with a mark": ("a.csv", kite(HEADER, stamped, "\r\n").encode("utf-8-sig")),
    "no last line break": ("a.csv", kite(HEADER, stamped).rstrip("\n")),
}


def daily(header: str, row: str, *, newest_first: bool = False, before: str = "") -> str:
    """`row` is a format with the date as {d}, the prices as {o} to {c} and the volume as {v}."""
    rows = []
    for day, o, h, low, c, v in DAYS:
        d = datetime.fromisoformat(day)
        rows.append(row.format(d=d, mon=MONTHS[d.month], cap=MONTHS[d.month].title(), o=o, h=h, l=low, c=c, v=v))
    return "\n".join([header, *([before] if before else []), *(rows[::-1] if newest_first else rows), ""])


UDIFF = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,FinInstrmNm,"
    "OpnPric,HghPric,LwPric,ClsPric,LastPric,TtlTradgVol,NewBrdLotQty"
)
ONE_DAY: dict[str, tuple[str, Content]] = {
    "kite": ("a.csv", daily(HEADER, "{d:%Y-%m-%d} 00:00:00+05:30,{o},{h},{l},{c},{v}")),
    "kite, dates": ("a.csv", daily(HEADER, "{d:%Y-%m-%d},{o},{h},{l},{c},{v}")),
    "yahoo": (
        "a.csv",
        daily(
            "Date,Open,High,Low,Close,Adj Close,Volume",
            "{d:%Y-%m-%d},{o},{h},{l},{c},{c},{v}",
            before="2025-04-25,null,null,null,null,null,null",
        ),
    ),
    "nse history": (
        "a.csv",
        daily(
            '"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","VOLUME ","VALUE "',
            '"{d:%d}-{cap}-{d:%Y}","EQ","{o}.00","{h}.00","{l}.00","100","{c}.00","{c}.00","1.1","{v:,}","1,06,00,000.50"',
            newest_first=True,
        ),
    ),
    "nse, two digits of the year": (
        "a.csv",
        daily(
            "Date,Open,High,Low,Close,Shares Traded,Turnover (Rs. Cr)",
            '{d:%d}-{cap}-{d:%y},{o},{h},{l},{c},"{v:,}",1.2',
        ),
    ),
    "bhavcopy": (
        "a.csv",
        daily(
            "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,",
            "INFY,EQ,{o},{h},{l},{c},{c},100,{v},1.5,{d:%d}-{mon}-{d:%Y},12,INE009A01021,",
            before="INFY,BL,1,1,1,1,1,1,1,1,25-APR-2025,1,INE009A01021,",
        ),
    ),
    "full bhavcopy": (
        "a.csv",
        daily(
            "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST, CLOSE_PRICE, TTL_TRD_QNTY",
            "INFY, EQ, {d:%d}-{cap}-{d:%Y}, 100.0, {o}.00, {h}.00, {l}.00, {c}.00, {c}.00, {v}",
        ),
    ),
    "udiff": (
        "a.csv",
        daily(
            UDIFF,
            "{d:%Y-%m-%d},{d:%Y-%m-%d},CM,NSE,STK,1594,INE,INFY,EQ,INFOSYS,{o}.00,{h}.00,{l}.00,{c}.00,{c}.00,{v},1",
        ),
    ),
    "epoch": (
        "a.csv",
        lines(
            "time,open,high,low,close,volume",
            DAYS,
            lambda d, *p: f"{int((datetime.fromisoformat(f'{d}T09:15+05:30')).timestamp())},{','.join(map(str, p))}",
        ),
    ),
}

TICKS = [("09:15:01", 100.05, 10, (99.95, 5), (100.1, 7)), ("09:15:02", 100.2, 25, (100.15, 3), None)]
"""Time, last price, volume of the day, best bid and ask with their quantities."""
EMPTY = {"price": 0.0, "quantity": 0, "orders": 0}


def ticker(
    clock: str, price: float, volume: int, bid: Any, ask: Any, time: str = "exchange_timestamp"
) -> dict[str, Any]:
    """As KiteTicker hands it over, times made text."""

    def side(level: Any) -> list[dict[str, Any]]:
        full = [{"price": level[0], "quantity": level[1], "orders": 1}] if level else []
        return full + [EMPTY] * (5 - len(full))

    return {
        "tradable": True,
        "mode": "full",
        "instrument_token": TOKEN,
        "last_price": price,
        "volume_traded": volume,
        "ohlc": {"open": 100, "high": 101, "low": 99, "close": 100},
        time: f"2025-04-29 {clock}",
        "depth": {"buy": side(bid), "sell": side(ask)},
    }


def level_columns(bid: Any, ask: Any) -> str:
    return ",".join(f"{each[0]},{each[1]}" if each else "0.0,0" for each in (bid, ask))


BOOK = "bid1_price,bid1_quantity,ask1_price,ask1_quantity"
TICK_FILES: dict[str, tuple[str, Content]] = {
    "own": (
        "t.csv",
        lines(
            f"timestamp,symbol,last_price,volume,{BOOK}",
            TICKS,
            lambda t, p, v, b, a: f"2025-04-29 {t}+05:30,{SYMBOL},{p},{v},{level_columns(b, a)}",
        ),
    ),
    "own, naive, noise": (
        "t.csv",
        lines(
            f"timestamp,symbol,last_price,volume,{BOOK}",
            TICKS,
            lambda t, p, v, b, a: f"2025-04-29T{t},{SYMBOL},{p}0000000000001,{v},{level_columns(b, a)}",
        ),
    ),
    "ticker's names": (
        "t.csv",
        lines(
            f"instrument_token,last_price,volume_traded,exchange_timestamp,oi,{BOOK}",
            TICKS,
            lambda t, p, v, b, a: f"{TOKEN},{p},{v},2025-04-29 {t},0,{level_columns(b, a)}",
        ),
    ),
    "ticker's dicts, json lines": ("t.jsonl", "".join(json.dumps(ticker(*each)) + "\n" for each in TICKS)),
    "ticker's lists, json lines": ("t.jsonl", json.dumps([ticker(*each) for each in TICKS]) + "\n"),
    "ticker's dicts, json": ("t.json", json.dumps([ticker(*each, time="timestamp") for each in TICKS])),
    "ticker's dicts in csv": (
        "t.csv",
        lines(
            "instrument_token,last_price,volume_traded,exchange_timestamp,depth",
            TICKS,
            lambda *each: '{},{},{},2025-04-29 {},"{}"'.format(
                TOKEN, each[1], each[2], each[0], ticker(*each)["depth"]
            ),
        ),
    ),
}


def write(folder: Path, name: str, content: Content) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def store(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def candles_in_parquet(folder: Path, times: list[Any], *, narrow: bool = False) -> Path:
    """With prices as 64- or 32-bit floats."""
    kind = pyarrow.float32() if narrow else pyarrow.float64()
    names = ("open", "high", "low", "close")
    prices = {name: pyarrow.array([row[n] for row in FIVE], kind) for n, name in enumerate(names, 1)}
    return store(folder / "a.parquet", {"date": times, **prices, "volume": [row[5] for row in FIVE]})

"""What a strategy asks its desk for: contracts by what they are, sizes by what may be lost, parameters, state."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.market.contracts import Contracts
from durable_orders.trading.market.instruments import COLUMNS, Instruments
from durable_orders.trading.strategies.files import load_strategy
from durable_orders.trading.strategies.sizing import quantity_for
from durable_orders.trading.strategies.state import State

TODAY = date(2025, 4, 29)
EXPIRIES = ("2025-04-24", "2025-04-30", "2025-05-08", "2025-05-29", "2025-06-26")
STRIKES = (24000, 24050, 24100, 24150, 24200)


def name_of(expiry: str, strike: int, kind: str) -> str:
    return f"NIFTY{expiry.replace('-', '')}{strike}{kind}"


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> Contracts:
    """Weeklies and monthlies of NIFTY, one of them over, and a future of each month; the index stands at 24,110."""
    rows = [("NIFTY 50", "NIFTY 50", "", 0, "0.05", 0, "EQ", "INDICES", "NSE")]
    rows += [
        (name_of(expiry, strike, kind), "NIFTY", expiry, strike, "0.05", 75, kind, "NFO-OPT", "NFO")
        for expiry in EXPIRIES
        for strike in STRIKES
        for kind in ("CE", "PE")
    ]
    rows += [
        (f"NIFTY{expiry.replace('-', '')}FUT", "NIFTY", expiry, 0, "0.1", 75, "FUT", "NFO-FUT", "NFO")
        for expiry in ("2025-05-29", "2025-06-26")
    ]
    rows += [
        ("INFY", "INFOSYS", "", 0, "0.1", 1, "EQ", "NSE", "NSE"),
        ("CRUDEOIL25MAYFUT", "CRUDEOIL", "2025-05-19", 0, "1", 1, "FUT", "MCX-FUT", "MCX"),
    ]
    lines = [
        f"{number},{number},{name},{of},0,{expiry},{strike},{tick},{lot},{kind},{segment},{exchange}"
        for number, (name, of, expiry, strike, tick, lot, kind, segment, exchange) in enumerate(rows, 1)
    ]
    path = tmp_path_factory.mktemp("master") / "instruments.csv"
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    master = Instruments.read(path)
    prices = {"NSE:NIFTY 50": Decimal(24110), "NSE:INFY": Decimal(1500)}
    return Contracts(lambda: master, lambda: TODAY, prices.get, {"NIFTY": 900})


@pytest.mark.parametrize(
    ("asked", "symbol"),
    [
        ({"expiry": "weekly", "strike": "ATM", "kind": "CE"}, name_of("2025-04-30", 24100, "CE")),
        ({"expiry": "next", "strike": "ATM+2", "kind": "PE"}, name_of("2025-05-08", 24200, "PE")),
        ({"expiry": "monthly", "strike": "ATM-1", "kind": "CE"}, name_of("2025-04-30", 24050, "CE")),
        ({"expiry": date(2025, 5, 29), "strike": 24150, "kind": "CE"}, name_of("2025-05-29", 24150, "CE")),
        ({"strike": "ATM", "kind": "CE", "price": Decimal(24010)}, name_of("2025-04-30", 24000, "CE")),
        ({"expiry": "monthly"}, "NIFTY20250529FUT"),
        ({"expiry": "next"}, "NIFTY20250626FUT"),
    ],
)
def test_a_contract_is_found_by_what_it_is(asked: dict[str, Any], symbol: str, contracts: Contracts) -> None:
    assert contracts.find("NIFTY", **asked).symbol == f"NFO:{symbol}"


def test_a_contract_says_what_an_order_in_it_needs(contracts: Contracts) -> None:
    found = contracts.find("NIFTY", date(2025, 5, 8), "ATM", "PE")
    assert (found.lot, found.tick, found.strike) == (75, Decimal("0.05"), Decimal(24100))
    assert (found.kind, found.underlying) == ("PE", "NIFTY")
    assert (found.expiry, found.days_to_expiry, found.freeze) == (date(2025, 5, 8), 9, 900)
    share = contracts.get("NSE:INFY")
    assert (share.lot, share.expiry, share.days_to_expiry, share.freeze) == (1, None, None, None)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"expiry": "yearly"}, "expiry: must be weekly, monthly, next or a date, was 'yearly'"),
        ({"expiry": date(2025, 5, 1)}, "expires 2025-05-01 as of 2025-04-29; there is: 29 May 2025, 26 Jun 2025"),
        ({"kind": "CALL", "strike": 1}, "kind: must be one of FUT, CE, PE, was 'CALL'"),
        ({"kind": "CE", "strike": 24110}, "NIFTY has no strike 24110; the nearest is 24100"),
        ({"kind": "CE", "strike": "ATM+9"}, "NIFTY has no strike ATM+9 of 24110: listed are 24000 to 24200"),
        ({"kind": "CE", "strike": "atm"}, "strike: must be as 'ATM', 'ATM+2', 'ATM-1' or 24400, was 'atm'"),
        ({"strike": 24100}, "a future has no strike"),
    ],
)  # fmt: skip
def test_what_is_not_listed_is_one_line_that_says_what_is(
    asked: dict[str, Any], words: str, contracts: Contracts
) -> None:
    with pytest.raises(InvalidStrategy) as caught:
        contracts.find("NIFTY", **asked)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("symbol", "limits", "quantity"),
    [
        ("NSE:INFY", {"risk": 1000, "stop": "1490"}, 100),
        ("NSE:INFY", {"capital": 100_000}, 66),
        ("NSE:INFY", {"risk": 1000, "stop": 1490, "capital": 30_000}, 20),
        ("NFO:NIFTY20250529FUT", {"risk": 10_000, "stop": 1450}, 150),
        ("NFO:NIFTY20250529FUT", {"risk": 1000, "stop": 1450}, 0),
        ("MCX:CRUDEOIL25MAYFUT", {"risk": 10_000, "stop": 1460}, 2),
    ],
)
def test_a_size_never_risks_or_spends_more_and_is_of_whole_lots(
    symbol: str, limits: dict[str, Any], quantity: int, contracts: Contracts
) -> None:
    """A lot of crude oil is 100 barrels: 4,000 rupees at 40 a barrel."""
    assert quantity_for(contracts.get(symbol), 1500, **limits) == quantity


@pytest.mark.parametrize("limits", [{}, {"risk": 100}, {"stop": 1}, {"risk": 100, "stop": 1500}, {"capital": 1.5}])
def test_a_size_of_nothing_is_refused(limits: dict[str, Any], contracts: Contracts) -> None:
    with pytest.raises(InvalidStrategy, match="quantity_for: "):
        quantity_for(contracts.get("NSE:INFY"), 1500, **limits)


CROSS = """
from datetime import time
from decimal import Decimal
from durable_orders import Parameter, Strategy

class Cross(Strategy):
    fast = Parameter(10, least=2, most=50)
    width = Parameter(Decimal("0.5"))
    at = Parameter(time(9, 20))
    short = Parameter(True)

    def __init__(self):
        self.seen = self.fast, self.width, self.at, self.short
"""


def test_parameters_are_set_before_the_strategy_is_made(tmp_path: Path) -> None:
    (tmp_path / "cross.py").write_text(CROSS)
    given = ["fast=5", "width=1.25", "at=10:05", "short=false"]
    other: Any = load_strategy(tmp_path / "cross.py", given=given).strategy
    usual: Any = load_strategy(tmp_path / "cross.py").strategy
    assert [str(each) for each in other.seen] == ["5", "1.25", "10:05:00", "False"]
    assert [str(each) for each in usual.seen] == ["10", "0.5", "09:20:00", "True"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("fats=5", "--set fats: the strategy has no such parameter; did you mean fast?"),
        ("fast=1", "--set fast: must be at least 2, was 1"),
        ("fast=five", "--set fast: must be a whole number, was 'five'"),
        ("short=maybe", "--set short: must be true or false, was 'maybe'"),
        ("width=nan", "--set width: must be finite, was 'nan'"),
        ("fast", "--set fast: must be NAME=VALUE, as in fast=5"),
    ],
)
def test_a_parameter_that_cannot_be_is_one_line(given: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "cross.py").write_text(CROSS)
    with pytest.raises(InvalidStrategy) as caught:
        load_strategy(tmp_path / "cross.py", given=[given])
    assert str(caught.value) == words


def test_what_is_kept_comes_back_equal_and_is_written_when_it_has_changed() -> None:
    state = State()
    state["legs"] = {"CE": [1, 2.5, None, True, "x"]}
    text = state.written()
    assert text is not None
    assert dict(State(text)) == {"legs": {"CE": [1, 2.5, None, True, "x"]}}
    assert state.written() is None
    assert state["legs"]["CE"][0] == 1
    assert state.written() is None
    state["legs"]["CE"].append(3)
    assert state.written() is not None


def test_what_is_changed_through_a_reference_that_was_kept_is_written_too() -> None:
    state = State()
    legs = state.setdefault("legs", {})
    state.written()
    legs["CE"] = "entry"
    text = state.written()
    assert text is not None
    assert dict(State(text)) == {"legs": {"CE": "entry"}}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal(1), "state['x']: a Decimal cannot be kept as JSON; keep it as text, with str()"),
        (TODAY, "state['x']: a date cannot be kept as JSON; keep it as text, with str()"),
        ({1}, "state['x']: a set cannot be kept as JSON; keep it as a list"),
        ({1: 2}, "state['x']: a key must be text, was 1; str() makes it one"),
        (float("nan"), "state['x']: must be a finite number, was nan: keep None instead"),
    ],
)
def test_what_would_not_come_back_as_it_was_is_refused_where_it_is_set(value: object, words: str) -> None:
    with pytest.raises(InvalidStrategy) as caught:
        State()["x"] = value
    assert str(caught.value) == words


def test_too_much_to_keep_is_refused() -> None:
    state = State()
    state["x"] = "x" * 70_000
    with pytest.raises(InvalidStrategy, match="state: must be at most 65536 characters as JSON, was 70008: keep less"):
        state.written()

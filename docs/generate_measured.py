"""Writes `measured.md` from the figures that the benchmarks kept: `python docs/generate_measured.py`."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

TARGET = Path(__file__).with_name("measured.md")
BENCH = Path(__file__).parents[1] / "bench"
LATEST, SCALE = BENCH / "latest.json", BENCH / "latest-scale.json"

PAGE = """\
<!-- Written by docs/generate_measured.py from bench/latest.json and bench/latest-scale.json. Measure, then run it. -->

# What was measured

Every number here was measured by a command of this repository: `make bench`, which takes at most ten minutes, and `make
bench-scale`, `make bench-ledger` and `make bench-ticks` for the long ones. They print what they find and change nothing
here; `make bench-keep` measures as `make bench` does, keeps the figures in `bench/latest.json`, with the machine, the
versions, the date and the command line, and makes this page anew. The long ones are kept with `KEEP=--keep`. Another
machine has other numbers: the ratios carry over, the rest does not.

{machine}

## Goals

{goals}

## The core

`make bench-core`. A strategy's orders through guardian and paper exchange to their end, in one process without a
server, as in a [backtest](backtest.md). Ten orders a tick; CPU seconds on one core; other engines do the same work in
the same run, in environments of their own.

{core}

{core_limit}

## The durable path

`make bench-durable`. Whole paper market orders, from the client's call to their proved end, against workflows that do
nothing, on one embedded server with one worker in the same run. A *frame* has an order's steps with nothing in them.

{durable}

{durable_limit}

## Open orders

`python -m bench.watch`: what the account's watch costs while nothing changes. The orders are real ones of guardian,
paper exchange and ledger, without their workflows, which sleep meanwhile.

{watch}

`python -m bench.memory` and, with ten thousand, `make bench-scale`: resting orders with their workflows in one worker's
cache. Resident memory.

{memory}

{scale}

## The event bus

`python -m bench.bus`. Microseconds from publishing an event to its subscriber, within a process.

{bus}

## The ledger

`python -m bench.ledger`, and `make bench-ledger` for a year of trading: what questions take on SQLite, and what it
takes to record one change of an order.

{ledger}

## Recording the market

`python -m bench.recording`: a day's ticks in Kite's own packets, with five levels, taken down and made Parquet files on
one core. `python -m bench.beside`: paper orders one after the other, in rounds, beside a process that records, and
without one.

{recording}

{beside}

## Alerts

`python -m bench.alerts`: all alerts come within a second, each from several senders at once, and each sender comes
again until it has its order; in the middle the worker is killed, and another one is started. Every alert is a market
order on paper. *Alone* they come one after the other.

{alerts}

## The quality of execution

`make bench-ledger`: the approved orders of a year's ledger are read, and told by hour and order by order, as
`durable-orders quality` does. Seconds of one core.

{quality}

## A whole backtest

`make bench-ticks`, some twenty minutes: the command `backtest` from its start to its end, over made ticks with
volume, bid and ask, some with five levels of an order book.

{many_ticks}

`python -m bench.ticks_beside`: the same command beside another engine that plays the same rule over the same CSV of
500,000 ticks, in turn. The ratio is the median of the pairs' own.

{ticks_beside}

## A strategy on paper

`python -m bench.paper_ticks`: the command `run` over durable orders. Orders rest away from the price, or plans are
open whose prices are far, and the strategy looks at every tick and asks for nothing; such ticks are shown to it many at
a time.

{paper_ticks}

## Beside an older build

`make bench-older`: this tree and an older commit of the repository, built from it, measured in turn. The ratio is the
median of the pairs' own; below 1 is less. `python -m bench.older ticks` is a whole backtest of 500,000 ticks, from its
command to its figures, with the same fills in both.

{older}"""

MISSING = "Not measured yet."
NONE_KEPT = "No such figures are kept at present."
WIDTH = 120


def render(latest: Mapping[str, Any] | None = None, scale: Mapping[str, Any] | None = None) -> str:
    figures = _read(LATEST) if latest is None else latest
    long = _read(SCALE) if scale is None else scale
    parts: dict[str, Callable[[], str]] = {
        "machine": lambda: _machine(figures),
        "goals": lambda: _goals(figures),
        "core": lambda: _core(figures["core"]),
        "core_limit": lambda: _core_limit(figures["core"], figures["core_profile"]),
        "durable": lambda: _durable(figures),
        "durable_limit": lambda: _durable_limit(figures["durable"]),
        "watch": lambda: _watch(figures["watch"]),
        "memory": lambda: _memory(figures["memory"]),
        "scale": lambda: _scale(long),
        "bus": lambda: _bus(figures["bus"]),
        "recording": lambda: _recording(figures["recording"]),
        "beside": lambda: _beside(figures["beside"]),
        "alerts": lambda: _alerts(figures["alerts"]),
        "quality": lambda: _quality(figures["quality"]),
        "many_ticks": lambda: _many_ticks(figures.get("many_ticks", {})),
        "ticks_beside": lambda: _ticks_beside(figures.get("ticks_beside")),
        "paper_ticks": lambda: _paper_ticks(figures.get("paper_ticks")),
        "older": lambda: _older(figures.get("older", {})),
        "ledger": lambda: _ledger([figures[name] for name in ("ledger", "ledger_year") if name in figures]),
    }
    page = PAGE.format(**{name: _or_missing(part) for name, part in parts.items()})
    return "".join(_wrapped(line) for line in page.splitlines())


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return content


def _wrapped(line: str) -> str:
    """Prose in lines of at most 120 characters; a row of a table is one line."""
    is_prose = len(line) > WIDTH and not line.startswith("|")
    return (fill(line, WIDTH, break_long_words=False, break_on_hyphens=False) if is_prose else line) + "\n"


def _or_missing(part: Callable[[], str]) -> str:
    """A section that nobody has measured says so."""
    try:
        return part()
    except KeyError:
        return MISSING


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is words, the others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _taken(report: Mapping[str, Any]) -> str:
    """When, of which commit, and how busy the machine was."""
    commit = report.get("commit") or report.get("versions", {}).get("commit") or "unknown"
    load = report.get("load_before", report.get("machine", {}).get("load_before"))
    return f"Taken on {report['date'][:10]} of commit {commit}; load of the machine just before: {load}."


def _machine(figures: Mapping[str, Any]) -> str:
    machine, versions = figures["machine"], figures["versions"]
    return (
        f"The machine: {machine['cores']} cores {machine['cpu']}, {machine['memory_gb']} GB, {machine['system']}; "
        f"Python {versions['python']}, temporalio {versions['temporalio']}, Temporal server "
        f"{versions['temporal_server']} on SQLite."
    )


def _goals(figures: Mapping[str, Any]) -> str:
    rows = [row for of in (_core_goals, _durable_goals, _other_goals, _evening_goals) for row in of(figures)]
    return _table(("goal", "wanted", "measured", "met"), rows)


def _row(goal: str, wanted: str, found: float | None, shape: str, *, met: bool | None) -> tuple[str, ...]:
    if found is None or met is None:
        return goal, wanted, "missing", "not known"
    return goal, wanted, format(found, shape), "yes" if met else "**no**"


def _core_goals(figures: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    core = figures["core"]
    rate, ratio, size = (core[name] for name in ("orders_per_second", "cost_ratio_100k_to_1k", "bytes_per_order"))
    yield _row("core: market orders a second", "20,000", rate, ",.0f", met=rate and rate >= 20_000)
    peers = {name: found for name, found in core["peers_orders_per_second"].items() if found is not None}
    if peers and rate:
        name, best = max(peers.items(), key=lambda peer: peer[1])
        yield _row(f"core: times the fastest peer ({name})", "above 1", rate / best, ".2f", met=rate > best)
    yield _row("core: cost of an order, 100,000 to 1,000", "not growing", ratio, ".2f", met=ratio and ratio <= 1.2)
    yield _row("core: bytes an ended order keeps", "under 1,024", size, ",", met=size and size < 1024)


def _durable_goals(figures: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    durable = figures["durable"]
    ratio, events = durable["throughput_ratio_to_bare_workflow"], durable["history_events_per_market_order"]
    slower = durable["intent_to_exchange_ms"]["p50"] / durable["bare_workflow_ms"]["p50"]
    yield _row("durable: orders to bare workflows, lowest", "0.5", ratio, ".2f", met=ratio >= 0.5)
    yield _row("durable: intent to exchange to bare workflow, p50", "1.5", slower, ".2f", met=slower <= 1.5)
    typical = durable["history_events_typical"]
    yield _row("durable: history events of a market order, typical", "16", typical, "g", met=typical <= 16)
    yield _row("durable: the same, of the longest", "16", events, "g", met=events <= 16)


def _other_goals(figures: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    p99 = figures["bus"]["async_subscriber_us"]["p99"]
    yield _row("bus: microseconds an event, p99", "under 50", p99, ".1f", met=p99 < 50)
    if "watch" in figures:
        few, *_, many = figures["watch"]["cases"]
        reads = [sum(case["broker_reads_per_interval"].values()) for case in (few, many)]
        goal = f"watch: broker reads an interval, {few['open_orders']:,} and {many['open_orders']:,} orders"
        yield (
            goal,
            "the same",
            " and ".join(f"{count:g}" for count in reads),
            "yes" if len(set(reads)) == 1 else "**no**",
        )


def _evening_goals(figures: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    if "recording" in figures:
        rate = figures["recording"]["recording_per_second"]
        yield _row("recorder: ticks a second on one core", "20,000", rate, ",", met=rate >= 20_000)
    if "beside" in figures:
        ratio = figures["beside"]["ratio"]
        yield _row("recorder: intent to exchange beside it, to without", "1.1", ratio, ".2f", met=ratio <= 1.1)
    if "quality" in figures:
        by_hour, one_by_one = (figures["quality"][name] for name in ("ratio", "one_by_one_ratio"))
        yield _row("quality: a year by hour, to reading it", "2", by_hour, ".2f", met=by_hour <= 2)
        yield _row("quality: a year order by order, to reading it", "2", one_by_one, ".2f", met=one_by_one <= 2)


def _core(core: Mapping[str, Any]) -> str:
    cases = [("durable-orders", case) for case in core["cases"]]
    cases += [
        (f"{name} {case.get('version', '')}".strip(), case)
        for name, kinds in core["peers"].items()
        for case in kinds.values()
    ]
    rows = []
    for engine, case in cases:
        kind = f"{engine}, {case['kind'].replace('_and_', ' and ')}, {case['orders']:,}"
        if "missing" in case:
            rows.append((kind, "missing", case["missing"], "", ""))
            continue
        p50, p99 = (f"{case['latency_us'][name]:.0f}" if "latency_us" in case else "" for name in ("p50", "p99"))
        rows.append((kind, f"{case['orders_per_second']:,.0f}", p50, p99, str(case.get("bytes_per_order", ""))))
    head = ("engine, orders, how many", "orders a second", "p50, us", "p99, us", "bytes kept")
    return f"{_table(head, rows)}\n\n{_taken(core)}"


def _core_limit(core: Mapping[str, Any], profile: Mapping[str, Any]) -> str:
    rate = core["orders_per_second"]
    each = (
        "" if not rate else f"An order takes {1e6 / rate:.0f} us of one core, and 20,000 a second would leave it 50. "
    )
    rows = [(f"`{part}`", f"{percent:.1f}") for part, percent in profile["percent"].items()]
    rows.append(("all the rest", f"{profile['rest_percent']:.1f}"))
    return (
        f"**What limits it.** {each}The largest single place takes {max(profile['percent'].values()):.0f} % of it. "
        "It is Python's own speed over the whole way of an order, whose terms are validated, which every rule of the "
        "guardian checks, which is matched and booked in exact decimals, and has the lifecycle of a durable one. "
        "`python -m bench.core_profile` says where, in percent; what is built into Python counts for its caller:\n\n"
        f"{_table(('where', 'percent'), rows)}\n\n{_taken(profile)}"
    )


def _durable(figures: Mapping[str, Any]) -> str:
    rows = []
    for case in figures["durable"]["cases"]:
        spreads = (case[name] for name in ("intent_to_exchange_ms", "intent_to_end_ms", "bare_workflow_ms"))
        rows.append(
            (
                f"{case['concurrency']} at once, {case['started_over']}",
                f"{case['orders_per_second']:.1f}",
                f"{case['bare_per_second']:.1f}",
                f"{case['throughput_ratio']:.2f}",
                f"{case['frame_ratio']:.2f}",
                *(f"{spread['p50']:.0f} / {spread['p99']:.0f}" for spread in spreads),
            )
        )
    head = (
        *("started", "orders a second", "bare a second", "ratio", "frame's ratio"),
        *("intent to exchange, ms", "intent to end, ms", "bare workflow, ms"),
    )
    return f"{_table(head, rows)}\n\nMilliseconds as p50 / p99. {_taken(figures)}"


def _durable_limit(durable: Mapping[str, Any]) -> str:
    lowest, used = durable["throughput_ratio_to_bare_workflow"], durable["cpu_ms"]
    worst = min(durable["cases"], key=lambda case: abs(case["throughput_ratio"] - lowest))
    ratio, frame = worst["throughput_ratio"], worst["frame_ratio"]
    share = (1 / frame - 1) / (1 / ratio - 1)
    names = {"bare": "bare workflow", "frame": "frame", "order": "order"}
    cpu = [(names[kind], f"{ms['server']:.1f}", f"{ms['worker_and_client']:.1f}") for kind, ms in used.items()]
    return (
        "**What limits it.** The number of steps: the server writes each to its database before it hands out the next. "
        f"In the row that counts, {worst['concurrency']} at once over {worst['started_over']}, a frame comes to "
        f"{frame:.2f} of a bare workflow's rate, and an order to {ratio:.2f}. So of what an order costs beyond a bare "
        f"workflow, {100 * share:.0f} % is the price of its steps, whatever is done in them: a local activity for the "
        "guardian, an ordinary one to place, a local one to record, and the search attribute that shows its status. "
        "The rest is what is done in them: the transactions of guardian, exchange and ledger.\n\n"
        f"{_table(('milliseconds of a core for each', 'server', 'worker and client'), cpu)}\n\n"
        "An order is at the exchange after the workflow's first task and the activity's own; a bare workflow has ended "
        "after its first. An order that has not filled when its placement is answered has its end from the "
        "watch: a timer, a signal and one more workflow task, up to eight events."
    )


def _watch(watch: Mapping[str, Any]) -> str:
    rows = []
    for case in watch["cases"]:
        reads = ", ".join(f"{count:g} {name}" for name, count in case["broker_reads_per_interval"].items())
        cpu, first = f"{case['cpu_ms_per_interval']:.1f}", f"{case['first_look_ms']:,.0f}"
        rows.append((f"{case['open_orders']:,}", reads, cpu, first))
    head = ("open orders", "broker reads an interval", "CPU an interval, ms", "first look, ms")
    words = "The first look, after a start, compares every order with the ledger."
    return f"{_table(head, rows)}\n\n{words} {_taken(watch)}"


def _memory(memory: Mapping[str, Any]) -> str:
    rows = []
    for case in (memory, memory["bounded"]):
        for name in ("worker", "server"):
            before, after = (f"{case[when][f'{name}_mb']:.0f}" for when in ("before", "after"))
            each, cancels = f"{case[f'{name}_bytes_per_open_order'] / 1024:.0f}", case["cancelled_ms"]
            took = f"{cancels['p50']:.0f} / {cancels['p99']:.0f}" if name == "worker" else ""
            rows.append((f"{name}, {case['cached_workflows']:,} cached", before, after, each, took))
    head = (f"{memory['open_orders']:,} open orders", "before, MB", "after, MB", "an open order, KB", "cancel, ms")
    words = (
        "What the worker keeps is bounded by `worker.max_cached_workflows`; a cancel of an order that has left the "
        "cache has its history replayed first. Milliseconds as p50 / p99, of the orders that were placed first."
    )
    return f"{_table(head, rows)}\n\n{words} {_taken(memory)}"


def _scale(report: Mapping[str, Any]) -> str:
    scale = report["scale"]
    memory, restart, placing = scale["memory"], scale["restart"], scale["placing"]
    idle, ticks = scale["idle"]["with_orders"], scale["tick_to_recorded_ms"]
    rows = [
        ("placed, a second", f"{placing['orders_per_second']:.1f}"),
        (
            "worker's memory before / after, MB",
            f"{memory['before']['worker_mb']:.0f} / {memory['after']['worker_mb']:.0f}",
        ),
        ("an open order in the worker, KB", f"{memory['worker_bytes_per_open_order'] / 1024:.0f}"),
        ("worker's / server's CPU, percent of a core", f"{idle['worker_cpu_percent']} / {idle['server_cpu_percent']}"),
        ("tick to fill recorded, p50 / p99, ms", f"{ticks['p50']:.0f} / {ticks['p99']:.0f}"),
        ("killed and started again: ready, s", f"{restart['worker_ready_seconds']:.1f}"),
        ("every order compared with the book, s", f"{restart['whole_look_done_seconds']:.1f}"),
    ]
    head = (f"{scale['orders']:,} resting orders", "")
    return f"{_table(head, rows)}\n\n{_taken(report)}"


def _bus(bus: Mapping[str, Any]) -> str:
    names = {
        "async_subscriber_us": "to an `async def`",
        "async_subscriber_cpu_us": "of that, the thread's own time",
        "plain_subscriber_us": "to a plain function in its thread",
        "post_to_10_subscribers_us": "`post` with ten subscribers",
        "post_to_10_subscribers_cpu_us": "of that, the thread's own time",
    }
    rows = [(words, str(bus[name]["p50"]), str(bus[name]["p99"])) for name, words in names.items()]
    rate = f"In a burst, {bus['burst_events_per_second']:,} events a second."
    head = (f"{bus['events']:,} events", "p50", "p99")
    return f"{_table(head, rows)}\n\n{rate} {_taken(bus)}"


def _recording(report: Mapping[str, Any]) -> str:
    rows = [
        ("taken down as they come, a second", f"{report['taking_down_per_second']:,}"),
        ("made Parquet files afterwards, a second", f"{report['compacting_per_second']:,}"),
        ("both together, a second", f"{report['recording_per_second']:,}"),
        ("read by the reader of tick files, a second", f"{report['reading_per_second']:,}"),
        ("bytes a tick, in the journal", str(report["journal_bytes_a_tick"])),
        ("bytes a tick, in Parquet", str(report["parquet_bytes_a_tick"])),
        ("largest memory of it all, MB", str(report["largest_mb"])),
    ]
    head = (f"{report['ticks']:,} ticks of {report['symbols']} symbols", "")
    return f"{_table(head, rows)}\n\n{_taken(report)}"


def _beside(report: Mapping[str, Any]) -> str:
    rows = [
        (words, *(f"{report[name][part]:.1f}" for part in ("p50", "p95", "p99")))
        for words, name in (("without a recorder", "intent_to_exchange_ms"), ("beside one", "beside_recorder_ms"))
    ]
    head = (f"intent to exchange of {report['orders']} orders each, ms", "p50", "p95", "p99")
    words = (
        f"At {report['ticks_per_second']:,} ticks a second the recorder took {report['recorder_cpu_percent']} % of a "
        f"core. Over the rounds, one median to the other: {', '.join(f'{ratio:.2f}' for ratio in report['ratios'])}."
    )
    return f"{_table(head, rows)}\n\n{words} {_taken(report)}"


def _alerts(report: Mapping[str, Any]) -> str:
    rows = [
        (words, *(f"{report[name][part]:,.0f}" for part in ("p50", "p99")))
        for words, name in (
            ("answer, alone", "answer_alone_ms"),
            ("answer, of those not turned away", "answer_ms"),
            ("intent to exchange, alone", "alone_ms"),
            ("intent to exchange, all at once", "burst_ms"),
        )
    ]
    head = (f"{report['alerts']:,} alerts, {report['senders']} senders each, ms", "p50", "p99")
    words = (
        f"They became {report['orders']:,} orders, {report['at_exchange_twice']} of them at the exchange twice. "
        f"{report['turned_away']:,} deliveries were turned away with 503, and {report['lost']:,} had no answer. All "
        f"were answered within {report['answered_seconds']:.0f} s, and over within {report['over_seconds']:.0f} s. "
        f"From intent to exchange the median was {report['ratio']:.1f} times that of an idle desk."
    )
    return f"{_table(head, rows)}\n\n{words} {_taken(report)}"


def _quality(report: Mapping[str, Any]) -> str:
    rows = [
        ("read", f"{report['reading_seconds']:.1f}", ""),
        ("`quality --by hour`", f"{report['quality_seconds']:.1f}", f"{report['ratio']:.2f}"),
        (
            "`quality --json`, order by order",
            f"{report['one_by_one_seconds']:.1f}",
            f"{report['one_by_one_ratio']:.2f}",
        ),
    ]
    head = (f"{report['orders']:,} approved orders", "seconds", "to reading")
    words = f"Memory that it took beyond reading: {report['memory_grown_mb']} MB."
    return f"{_table(head, rows)}\n\n{words} {_taken(report)}"


def _older(parts: Mapping[str, Any]) -> str:
    found = []
    for name, part in parts.items():
        rows = [
            (what, f"{one['here']:,g}", f"{one['older']:,g}", f"{one['median']:.2f}", f"{len(one['pairs'])}")
            for what, one in part["ratios"].items()
        ]
        head = (f"`{name}`", "here", part["commit"], "ratio", "pairs")
        found.append(f"{_table(head, rows)}\n\n{_taken({key: part[key] for key in part if key != 'commit'})}")
    return "\n\n".join(found) or NONE_KEPT


def _ticks_beside(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return NONE_KEPT
    rows = []
    for name, shown in (("here", "durable-orders"), ("there", report["peer"])):
        every = [pair[name] for pair in report["pairs"]]
        cpu, peak = (median(each[key] for each in every) for key in ("seconds", "mb"))
        rows.append((shown, f"{cpu:.1f}", f"{peak:.0f}", f"{report['ratio']:.2f}" if name == "here" else ""))
    head = (f"{len(report['pairs'])} pairs", "CPU, s", "peak memory, MB", "ratio")
    return f"{_table(head, rows)}\n\n{_taken(report)}"


def _paper_ticks(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return NONE_KEPT
    rows = [(_resting(case), f"{case['ticks']:,}", f"{case['ticks_per_second']:,}") for case in report["cases"]]
    return f"{_table(('orders that rest', 'ticks', 'ticks a second'), rows)}\n\n{_taken(report)}"


def _resting(case: Mapping[str, Any]) -> str:
    return f"{case['resting']}, the stops of open plans" if case.get("brackets") else str(case["resting"])


def _many_ticks(reports: Mapping[str, Any]) -> str:
    found = []
    for kind, report in reports.items():
        rows = []
        for case in report["cases"]:
            name = f"{case['ticks']:,}, with order books" if case["order_book"] else f"{case['ticks']:,}"
            each = f"{case['cpu_seconds'] / case['ticks'] * 1e6:.1f}"
            rows.append((name, f"{case['file_mb']:,}", f"{case['peak_mb']:.0f}", each))
        head = (f"ticks from {kind}", "size, MB", "peak memory, MB", "CPU of a tick, us")
        found.append(f"{_table(head, rows)}\n\n{_taken(report)}")
    return "\n\n".join(found) or NONE_KEPT


def _ledger(reports: Sequence[Mapping[str, Any]]) -> str:
    if not reports:
        return MISSING
    questions = {name for report in reports for name in report["questions_ms"]}
    slowest = sorted(questions, key=lambda name: -reports[-1]["questions_ms"].get(name, 0))[:5]
    rows = [
        ("recording one change, ms", *(f"{report['recording_ms']:.1f}" for report in reports)),
        ("size of the file, MB", *(f"{report['megabytes']:,}" for report in reports)),
        ("an order by its id, ms", *(f"{report['questions_ms']['find_order']:.1f}" for report in reports)),
    ]
    rows += [(f"`{name}`, ms", *(f"{report['questions_ms'][name]:.1f}" for report in reports)) for name in slowest]
    rows.append(
        ("the whole journal, line by line, s", *(f"{report['whole_journal_seconds']:.1f}" for report in reports))
    )
    head = ("", *(f"{report['events']:,} events" for report in reports))
    words = "The five questions are the slowest of all that the program asks; `bench/latest.json` has every one."
    return f"{_table(head, rows)}\n\n{words} {' '.join(_taken(report) for report in reports)}"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")

"""The file of figures, which several measurements write, each its own sections, if they are asked to."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LATEST = Path(__file__).with_name("latest.json")


def add_keep(parser: argparse.ArgumentParser, file: Path = LATEST) -> None:
    """Adds `--keep`. Without it a measurement prints its tables, and leaves the repository as it was."""
    words = f"keep the figures as JSON, in {file.name} if no file is named; docs/measured.md is made from that"
    parser.add_argument("--keep", type=Path, nargs="?", const=file, metavar="FILE", help=words)


def keep(file: Path | None, sections: Mapping[str, Any]) -> None:
    """Put these sections into the file, if there is one. What others measured stays."""
    if file is None:
        return
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    half = file.with_suffix(".tmp")
    half.write_text(json.dumps(content | dict(sections), indent=2) + "\n", encoding="utf-8")
    half.replace(file)

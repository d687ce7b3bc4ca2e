"""The file of figures, which several measurements write, each its own sections."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def keep(file: Path, sections: Mapping[str, Any]) -> None:
    """Put these sections into the file. What others measured stays."""
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    half = file.with_suffix(".tmp")
    half.write_text(json.dumps(content | dict(sections), indent=2) + "\n", encoding="utf-8")
    half.replace(file)

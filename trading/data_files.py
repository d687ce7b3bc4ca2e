"""The YAML files that come with the package, in the folder `data` of the part of it that goes by them."""

from importlib.resources import files
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML without libyaml, which is nine times as fast
    from yaml import SafeLoader  # type: ignore[assignment]


def read_data(package: str, name: str) -> Any:
    content = (files(package) / "data" / name).read_text(encoding="utf-8")
    return yaml.load(content, Loader=SafeLoader)

"""What is given for the settings: a YAML file, and variables of the environment."""

from pathlib import Path
from typing import Any

import yaml

from durable_orders.trading.errors import InvalidSettings

ENVIRONMENT_PREFIX = "DURABLE_ORDERS_"
IN_A_FILE = "_FILE"
OTHER_VARIABLES = frozenset({"DURABLE_ORDERS_HOME", "DURABLE_ORDERS_CONFIG"})
"""Read by the command line, not settings."""


class _Twice(yaml.MarkedYAMLError):
    """A key that stands twice."""


TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Leaves dates as they are written: one that is none is refused by its key. Refuses a key that stands twice: YAML
    takes the last, and a limit of the first would silently be gone."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in found if tag != TIMESTAMP]
            for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in known:
                raise _Twice(problem=f"{key.value}: stands there twice", problem_mark=key.start_mark)
            known.add(key.value)
        return super().construct_mapping(node, deep)


def yaml_value(text: str) -> Any:
    """What is written in YAML. Raises `YAMLError`."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def read_file(file: Path) -> dict[str, Any]:
    try:
        content = yaml_value(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        twice = f", {error.problem}" if isinstance(error, _Twice) else ""
        raise InvalidSettings(f"{file}: not YAML{line}{twice}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InvalidSettings(f"{file}: must hold settings as `key: value`, was a {type(content).__name__}")
    return content


def from_environment(environment: Any) -> list[tuple[list[str], Any]]:
    """`DURABLE_ORDERS_EXECUTION__PAPER__SLIPPAGE_BPS=7` as (["execution", "paper", "slippage_bps"], 7).

    `DURABLE_ORDERS_LEDGER__PASSWORD_FILE=/run/secrets/ledger` is what that file holds: a secret need not stand in an
    environment, which any process of the same user can read.
    """
    found = []
    for name, value in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in OTHER_VARIABLES:
            continue
        setting = name.removesuffix(IN_A_FILE)
        if setting != name and setting in environment:
            raise InvalidSettings(f"{name}: {setting} is set as well: give one of them")
        read = _scalar(name, value) if setting == name else _content(name, Path(value))
        found.append((setting.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), read))
    return found


def _content(name: str, file: Path) -> str:
    """What a secret's file holds, without the line break at its end."""
    try:
        content = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{name}: {file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not content:
        raise InvalidSettings(f"{name}: {file}: is empty")
    return content


def _scalar(name: str, value: str) -> Any:
    try:
        return yaml_value(value)
    except yaml.YAMLError:
        raise InvalidSettings(f"{name}: not a YAML value") from None


def put(content: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        inner = content.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidSettings(f"{'.'.join(path)}: {part} is not a section")
        content = inner
    content[path[-1]] = value

"""The map of the code goes down as the imports do."""

from __future__ import annotations

import re
import tomllib

from tests.docs.names import CHECKOUT

PAGE = (CHECKOUT / "docs" / "architecture.md").read_text()
CONTRACTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def mapped() -> list[str]:
    """What stands first in each row of the map."""
    section = PAGE.partition("\n## Map of the code\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def layer_of(name: str, layers: list[str]) -> int:
    (found,) = [number for number, layer in enumerate(layers) if name in layer.split(" | ")]
    return found


def test_the_apps_stand_in_the_order_of_their_imports() -> None:
    (layers,) = [one["layers"] for one in CONTRACTS if "containers" not in one]
    apps = [name.split("/")[0] for name in mapped() if name.split("/")[0] in layers]

    assert list(dict.fromkeys(apps)) == layers
    assert apps == sorted(apps, key=layers.index)


def test_the_parts_of_trades_stand_in_the_order_of_their_imports() -> None:
    (layers,) = [one["layers"] for one in CONTRACTS if one.get("containers") == ["trades"]]
    parts = [re.sub(r"/$|\.py$", "", name.removeprefix("trades/")) for name in mapped() if name.startswith("trades/")]

    numbers = [layer_of(part, layers) for part in parts]

    assert numbers == sorted(numbers)
    folders = {path.name for path in (CHECKOUT / "trades").iterdir() if (path / "__init__.py").exists()}
    assert folders - {"api", "admin", "management", "migrations", "models"} <= set(parts)

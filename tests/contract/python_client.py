"""The typed Python client of the API, made from openapi.yaml: `python -m tests.contract.python_client build/client`.

It isn't committed: it says nothing that openapi.yaml doesn't, which is committed and compared with the code.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "openapi.yaml"
GENERATOR = Path(sys.executable).with_name("openapi-python-client")


def generate(folder: Path, document: Path = DOCUMENT) -> None:
    """Write the package there. Raises CalledProcessError, also where the generator leaves a call out."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    options = ["--config", HERE / "python_client.yaml", "--output-path", folder, "--overwrite", "--meta", "setup"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as simple:
        yaml.safe_dump(_in_json(_without_demands(yaml.safe_load(document.read_text()))), simple, sort_keys=False)
        simple.flush()
        subprocess.run([GENERATOR, "generate", "--fail-on-warning", "--path", simple.name, *options], check=True)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", "--isolated", folder], check=True)


def _without_demands(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what the fields of a body demand of each other, such as one of two: types can't say it, and
    the generator would make a class of each demand, without the fields."""
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            for demand in ("oneOf", "anyOf"):
                schema.pop(demand, None)
    return document


def _in_json(document: dict[str, Any]) -> dict[str, Any]:
    """The document with one way to send each body: of two the generator makes what can not be imported."""
    for operation in (one for path in document["paths"].values() for one in path.values()):
        content = operation.get("requestBody", {}).get("content", {})
        for other in [kind for kind in content if kind != "application/json"]:
            del content[other]
    return document


if __name__ == "__main__":
    generate(Path(sys.argv[1]))

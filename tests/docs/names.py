"""What there is in the checkout to be named: its files, and what the product's modules define.

`is_there` judges a name as a text writes it in backticks. It is as lenient as texts are: a file may be named without
its folders, a module or class without its package, an attribute by the module of its class.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "quotes", "trades", "brokerage")
CODE = (*APPS, "tests", "benchmarks")
PLACES = (*CODE, "docs", "templates", "deploy", ".ci")

_ENDINGS = "py|md|toml|yaml|html"
_PATH = re.compile(rf"(?:[\w.-]+/)+(?:[\w.-]+\.(?:{_ENDINGS}))?|[\w-]+\.(?:{_ENDINGS})")
_ANOTHER = re.compile(r"[\w-]+\.(?:json|lua|sql|log|csv|lock|svg)")
_CHECK = re.compile(r"[EW]\d{3}")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


@dataclass
class Module:
    """What a module defines: names at its top, and the names within each of its classes."""

    names: set[str] = field(default_factory=set)
    classes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def has(self, path: list[str]) -> bool:
        """Whether `name`, `Class.member` or, by the name of its module alone, a class's `member` is in here."""
        first, *rest = path
        if first in self.classes and rest:
            return rest[0] in self.classes[first]
        return first in self.names or any(first in members for members in self.classes.values())


@cache
def files() -> frozenset[str]:
    """Every file of the checkout that a text may name, from its root."""
    found = [path for path in CHECKOUT.glob("*") if path.is_file()]
    for place in PLACES:
        found += [path for path in (CHECKOUT / place).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return frozenset(str(path.relative_to(CHECKOUT)) for path in found)


def product() -> list[str]:
    """The files of the product's modules, without migrations, which are history."""
    return [
        name for name in files() if name.endswith(".py") and name.split("/")[0] in APPS and "/migrations/" not in name
    ]


@cache
def modules() -> dict[str, Module]:
    """The product's modules by their dotted names."""
    found = {}
    for name in product():
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found[dotted] = _read(ast.parse((CHECKOUT / name).read_text()))
    _inherit(found)
    return found


_BASES: dict[str, set[str]] = defaultdict(set)


def _read(tree: ast.Module) -> Module:
    module = Module()
    for name, node in _defined(tree.body):
        module.names.add(name)
        if isinstance(node, ast.ClassDef):
            _read_class(module, node)
    return module


def _read_class(module: Module, node: ast.ClassDef) -> None:
    members = module.classes[node.name]
    _BASES[node.name] |= {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}
    for name, inner in _defined(node.body):
        members.add(name)
        if isinstance(inner, ast.ClassDef):
            _read_class(module, inner)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and ast.unparse(inner.value) == "self":
            members.add(inner.attr)


def _defined(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from ((name.id, node) for name in ast.walk(target) if isinstance(name, ast.Name))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (((alias.asname or alias.name).split(".")[0], node) for alias in node.names)
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _defined([inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)])


def _inherit(found: dict[str, Module]) -> None:
    """Members of our own base classes are members of what is derived from them."""
    members: dict[str, set[str]] = defaultdict(set)
    for module in found.values():
        for name, own in module.classes.items():
            members[name] |= own

    def of(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        bases = _BASES[name] - seen - {name}
        return members[name].union(*(of(base, seen | {name}) for base in bases))

    for module in found.values():
        for name in module.classes:
            module.classes[name] |= of(name)


@cache
def _by_stem() -> dict[str, list[Module]]:
    found = defaultdict(list)
    for dotted, module in modules().items():
        found[dotted.split(".")[-1]].append(module)
    return found


@cache
def _by_class() -> dict[str, list[Module]]:
    found = defaultdict(list)
    for module in modules().values():
        for name in module.classes:
            found[name].append(module)
    return found


@cache
def defined() -> frozenset[str]:
    """Every name that a module of the product defines, at its top or in a class."""
    return frozenset().union(*(module.names.union(*module.classes.values()) for module in modules().values()))


def is_there(named: str) -> bool | None:
    """Whether what a text names so exists; None where it isn't a file of ours, nor a name in one."""
    named = named.strip().removesuffix("()")
    if _PATH.fullmatch(named):
        return _is_a_file(named)
    if _ANOTHER.fullmatch(named):
        return None  # a file that is made while the system runs, or somebody else's
    if _DOTTED.fullmatch(named):
        return _is_defined(named.split("."))
    return None


def _is_a_file(named: str) -> bool | None:
    if named.split("/")[0] in PLACES:
        return (CHECKOUT / named).exists()  # on disk: a folder is none of `files`
    if named.endswith("/"):
        return None  # an address's path, or a folder beside the one that is spoken of
    return any(name == named or name.endswith(f"/{named}") for name in files())


def _is_defined(path: list[str]) -> bool | None:
    first, *rest = path
    if _CHECK.fullmatch(rest[-1]):
        return None  # of Django's checks, as W001
    if first in APPS:
        return _is_in_a_package(path)
    if first in _by_stem():
        return any(module.has(rest) for module in _by_stem()[first])
    if first in _by_class():
        return any(module.has(path) for module in _by_class()[first])
    if rest[-1].isupper() and rest[-1] in defined():
        return False  # a constant of ours, in a module that isn't
    return None


def _is_in_a_package(path: list[str]) -> bool:
    for end in range(len(path), 1, -1):
        if module := modules().get(".".join(path[:end])):
            return end == len(path) or module.has(path[end:])
    if (CHECKOUT / "/".join(path)).is_dir():
        return True
    # `accounts.Customer`: a model by its app's label, as Django writes it.
    return len(path) == 2 and any(module.has(path[1:]) for name, module in modules().items() if path[0] in name)

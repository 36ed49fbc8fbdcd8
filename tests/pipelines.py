"""A pipeline for a test's own call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from accounts.db.pipeline import Pipeline, pipeline

P = ParamSpec("P")
T = TypeVar("T")


def in_a_pipeline(call: Callable[Concatenate[Pipeline, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call with a pipeline of its own; everything that it sent is answered when it gives back."""
    with pipeline() as p:
        return call(p, *args, **kwargs)

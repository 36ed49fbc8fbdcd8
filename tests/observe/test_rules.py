"""Alert rules and the dashboard ask for metrics that there are, and each alert has its runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.core import Metric

from accounts import audit, clock
from brokerage import worked
from brokerage.observe import requests
from brokerage.observe.exporter import Exporter
from trades.engine.counted import Counted

CHECKOUT = Path(__file__).resolve().parents[2]
RULES = (CHECKOUT / "deploy" / "prometheus" / "rules.yaml").read_text()
DASHBOARD = json.loads((CHECKOUT / "deploy" / "grafana" / "brokerage.json").read_text())
RUNBOOKS = CHECKOUT / "docs" / "runbooks"

pytestmark = pytest.mark.django_db(transaction=True)


def families() -> list[Metric]:
    """After a first audit, before which one metric is missing."""
    audit.run(clock.now())
    of_a_worker = [*worked._TOOK.collect(), *worked._NOT_DONE.collect(), *worked.Children().collect()]
    return [*Exporter(kept_seconds=0).collect(), *Counted(0).collect(), *requests._TOOK.collect(), *of_a_worker]


def told() -> set[str]:
    """Every name that a process tells; a histogram and a counter each under the names of their samples."""
    names = set()
    for family in families():
        endings = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}.get(family.type, ("",))
        names |= {family.name + ending for ending in endings}
    return names | {"process_cpu_seconds_total"}


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:brokerage|process)_\w+", expression))


def test_every_metric_of_the_rules_and_of_the_dashboard_is_told():
    there = told()
    expressions = re.findall(r"^        expr: (.+)$", RULES, re.MULTILINE)
    expressions += [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]

    assert len(expressions) > 40
    expressions.remove("'up{job=\"brokerage\"} == 0'")  # Prometheus' own
    for expression in expressions:
        assert asked(expression), expression
        assert asked(expression) <= there, expression


def test_every_alert_has_its_runbook_and_every_runbook_its_alert():
    alerts = dict(re.findall(r"- alert: (\w+)\n(?:.*\n)*?          runbook: (docs/runbooks/[\w-]+\.md)\n", RULES))

    assert len(alerts) == RULES.count("- alert: ")
    assert {CHECKOUT / page for page in alerts.values()} == set(RUNBOOKS.glob("*.md")) - {RUNBOOKS / "README.md"}
    index = (RUNBOOKS / "README.md").read_text()
    for name, page in alerts.items():
        text = (CHECKOUT / page).read_text()
        assert text.startswith(f"# {name}\n")
        assert all(f"\n**{part}.** " in text for part in ("Look", "Do"))
        assert f"| [{name}]({Path(page).name}) | " in index


def test_the_page_lists_every_metric_of_the_exporter():
    page = (CHECKOUT / "docs" / "deploying.md").read_text()
    listed = set(re.findall(r"`(brokerage_\w+)`", page))

    assert listed == {family.name for family in families()}


def test_the_process_metrics_are_told_by_the_registry_that_processes_serve():
    assert any(family.name == "process_cpu_seconds" for family in REGISTRY.collect())

"""The manifests for Kubernetes run what `manage.py up` runs, bounded, probed and without rights."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from accounts.metrics import METRICS_PORTS, PLACES
from brokerage import settings as read
from brokerage.stack.processes import MANAGE, NAMES, children
from brokerage.stack.where import CHECKOUT

BASE = CHECKOUT / "deploy" / "kubernetes" / "base"
KUSTOMIZATION = yaml.safe_load((BASE / "kustomization.yaml").read_text())
OLDEST = "1.31"
NOBODY = 10001


def found() -> Iterator[dict[str, Any]]:
    for name in KUSTOMIZATION["resources"]:
        yield from yaml.safe_load_all((BASE / name).read_text())


MANIFESTS = list(found())


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"].removeprefix("brokerage-"): one["spec"] for one in MANIFESTS if one["kind"] == kind}


PODS = {name: spec["template"]["spec"] for name, spec in (of("Deployment") | of("Job")).items()}
CONTAINERS = {
    f"{name}/{container['name']}": container
    for name, pod in PODS.items()
    for container in pod["containers"] + pod.get("initContainers", [])
}


def test_every_file_is_named_by_the_base() -> None:
    assert {path.name for path in BASE.iterdir()} == {*KUSTOMIZATION["resources"], "kustomization.yaml"}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_kubernetes_own_schema_knows_every_field(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_each_process_of_up_is_a_deployment_with_the_same_command() -> None:
    assert set(of("Deployment")) == set(NAMES)
    for child in children("0.0.0.0", 8000, {}):
        words = [{sys.executable: "python", MANAGE[1]: "manage.py"}.get(word, word) for word in child.command]
        if "-W" in words:
            del words[words.index("-W") : words.index("-W") + 2]
        assert CONTAINERS[f"{child.name}/{child.name}"]["command"] == words


def test_the_proxy_is_told_what_that_of_up_is_told() -> None:
    proxy = children("0.0.0.0", 8000, {}, socket=Path("/run/web.sock"))[0]
    told = {one["name"]: one["value"] for one in CONTAINERS["proxy/proxy"]["env"]}

    assert set(told) == set(proxy.environ)
    assert told["PROXY_REQUESTS"] == proxy.environ["PROXY_REQUESTS"]
    assert "COPY brokerage brokerage\n" in (CHECKOUT / "Dockerfile").read_text(), "where its configuration lies"


@pytest.mark.parametrize("name", CONTAINERS)
def test_each_container_is_bounded_and_has_no_rights(name: str) -> None:
    container, pod = CONTAINERS[name], PODS[name.partition("/")[0]]

    for bound in ("requests", "limits"):
        assert set(container["resources"][bound]) == {"cpu", "memory"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == NOBODY
    assert f"--uid {NOBODY} " in (CHECKOUT / "Dockerfile").read_text()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", NAMES)
def test_each_process_is_probed_and_survives_a_drained_node(name: str) -> None:
    container, deployment = CONTAINERS[f"{name}/{name}"], of("Deployment")[name]
    budget = of("PodDisruptionBudget")[name]

    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    assert budget["selector"]["matchLabels"] == deployment["selector"]["matchLabels"]
    assert budget.get("minAvailable", 0) < deployment["replicas"], "no node could ever be drained"
    assert deployment["replicas"] > 1 or deployment["strategy"] in ({"type": "Recreate"}, ROLLING), name


ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_loops_are_looked_at_by_their_files_and_the_web_process_is_asked() -> None:
    beating = {
        name.partition("/")[0]
        for name, one in CONTAINERS.items()
        if {"name": "HEARTBEAT_FILE", "value": "/tmp/heartbeat"} in one.get("env", [])
    }
    web = CONTAINERS["web/web"]

    assert beating == {"engine", "worker", "beat", "feed"}
    for name in beating:
        assert "/tmp" in CONTAINERS[f"{name}/{name}"]["livenessProbe"]["exec"]["command"][2]
    assert (web["livenessProbe"]["httpGet"]["path"], web["readinessProbe"]["httpGet"]["path"]) == ("/livez", "/readyz")
    assert web["readinessProbe"]["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "localhost"}]


def test_secrets_are_files_and_only_migrate_knows_the_owner() -> None:
    """Guard: the second Secret. Who runs as the application can't read the owner's password."""
    for name, pod in PODS.items():
        secrets = {one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}
        expected = {"migrate": {"brokerage", "brokerage-owner"}, "proxy": set()}
        assert secrets == expected.get(name, {"brokerage"}), name
    text = "".join((BASE / name).read_text() for name in KUSTOMIZATION["resources"])
    assert "secretKeyRef" not in text
    assert "kind: Secret" not in text
    assert set(re.findall(r"name: (\w+)_FILE, value: /run/secrets", text)) <= {
        name for name in dir(read) if name.isupper()
    }


def test_nobody_reaches_a_pod_but_who_is_named() -> None:
    policies = of("NetworkPolicy")
    closed = next(one for one in MANIFESTS if one["metadata"]["name"] == "brokerage" and one["kind"] == "NetworkPolicy")
    (settings,) = (one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap")
    (web,) = policies["web"]["ingress"][0]["from"]
    (ports,) = policies["metrics"]["ingress"][0]["ports"]
    first = int(settings["METRICS_PORT"])

    assert "ingress" not in closed["spec"]
    assert web["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "proxy"
    assert ports == {"port": first, "endPort": first + METRICS_PORTS - 1}
    for name in set(NAMES) - {"proxy"}:
        there = {one["name"]: one["containerPort"] for one in CONTAINERS[f"{name}/{name}"]["ports"]}
        assert there["metrics"] == first + PLACES[name], name


def test_its_settings_are_settings() -> None:
    (told,) = (one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap")

    assert all(isinstance(its, str) for its in told.values())
    assert set(told) <= {name for name in dir(read) if name.isupper()}
    assert told["SANDBOX"] == "0"

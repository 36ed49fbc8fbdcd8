"""To which address a webhook really goes, whatever its name says, and who is told what about names."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone

from accounts.models import WebhookAttempt, WebhookDelivery
from accounts.webhooks import addresses, posting
from tests.accounts.webhooks.receiver import Receiver
from tests.accounts.webhooks.test_delivering import FROZEN, changed, delivered, later, states, subscribed
from tests.caller import a_firm
from tests.given import a_customer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What hook.example means, one address after the other; gives the list of what is asked. "": there is no such
    name."""
    really = socket.getaddrinfo
    asked: list[str] = []

    def mean(*answers: str) -> list[str]:
        def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            if host != "hook.example":
                return really(host, port, *args, **options)
            asked.append(host)
            means = answers[min(len(asked), len(answers)) - 1]
            if not means:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [found for one in means.split() for found in really(one, port, *args, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return mean


def sent_to(url: str) -> WebhookAttempt:
    """What came of one event that was sent there."""
    subscribed(a_firm(), url, event_types=FROZEN)
    changed(a_customer())
    delivered()
    return WebhookAttempt.objects.get()


def test_a_name_that_means_another_address_after_the_check_changes_nothing(
    receiver: Receiver, names: Callable[..., list[str]]
) -> None:
    """Guard: `_connect` connects to the address that was judged; given the name, it would look it up again."""
    asked = names("127.0.0.1", "127.0.0.2")

    attempt = sent_to(f"http://hook.example:{receiver.port}/hook")

    assert asked == ["hook.example"]
    assert receiver.got[0].headers["host"] == f"hook.example:{receiver.port}"
    assert (attempt.address, attempt.status) == ("127.0.0.1", 200)


def test_a_name_that_means_this_machine_by_the_time_it_is_called_is_not_called(
    receiver: Receiver, names: Callable[..., list[str]], settings: Any
) -> None:
    """Guard: `may_be_called` in `addresses_of`, at each connection: when it was subscribed the name was another's."""
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.1/32")]
    names("127.0.0.1", "127.0.0.2")
    sent_to(f"http://hook.example:{receiver.port}/hook")
    changed(a_customer())

    delivered()

    attempt = WebhookAttempt.objects.order_by("pk").last()
    assert attempt is not None
    assert attempt.error == "hook.example is at 127.0.0.2, which is not a public address"
    assert (attempt.address, len(receiver.got)) == ("", 1)


def test_one_bad_address_refuses_a_name(receiver: Receiver, names: Callable[..., list[str]]) -> None:
    """Guard: the loop of `addresses_of`, over all that the name has."""
    names("127.0.0.1 169.254.169.254")

    assert "169.254.169.254" in sent_to(f"http://hook.example:{receiver.port}/hook").error
    assert receiver.got == []


@pytest.mark.parametrize("means", ["", "10.0.0.7"])
def test_a_client_cannot_tell_which_names_the_firms_network_has(
    receiver: Receiver, names: Callable[..., list[str]], means: str
) -> None:
    """Guard: `_TOLD_OF_A_NAME`: the same for a name that isn't there and for one that is, and where."""
    names(means)

    error = sent_to("https://hook.example/hook").error

    assert WebhookDelivery.objects.get().response == "the name in the url has no address that webhooks are sent to"
    assert (means or "looked up") in error


def test_http_stays_in_allowed_networks(receiver: Receiver, names: Callable[..., list[str]]) -> None:
    """Guard: `is_allowed` in `_connect`."""
    names("192.0.79.32")

    assert "http is only for allowed networks" in sent_to(f"http://hook.example:{receiver.port}/hook").error


def test_without_an_allow_list_this_machine_is_never_called(
    receiver: Receiver, settings: Any, names: Callable[..., list[str]]
) -> None:
    """Guard: WEBHOOK_ALLOWED_NETWORKS is empty unless the firm says otherwise; `may_be_called` asks it each time."""
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    names("127.0.0.1")

    attempt = sent_to(f"https://hook.example:{receiver.port}/hook")

    assert attempt.error == "hook.example is at 127.0.0.1, which is not a public address"
    assert (receiver.got, states()) == ([], ["failing"])


def test_a_public_address_of_this_very_machine_is_not_called(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch, names: Callable[..., list[str]]
) -> None:
    """Guard: `_is_this_machine`: what listens there behind a firewall would be reached from inside it.

    A test's machine has no public address, so the loopback is called one.
    """
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    names("127.0.0.1")

    attempt = sent_to(f"https://hook.example:{receiver.port}/hook")

    assert attempt.error == "hook.example is at 127.0.0.1, which is this machine's own"
    assert receiver.got == []


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """A file with a new key and a certificate for hook.example that it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hook.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(timezone.now() - timedelta(days=1))
        .not_valid_after(timezone.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hook.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "hook.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))
    return str(path)


@pytest.fixture
def over_tls(certificate: str, receiver: Receiver) -> Iterator[Receiver]:
    endpoint = Receiver(certificate)
    yield endpoint
    endpoint.kill()


def test_a_certificate_is_checked_for_the_name_of_the_url(
    over_tls: Receiver, certificate: str, names: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: `_TLS` is a context that checks; the name it checks is the URL's, not the address."""
    names("127.0.0.1")
    url = f"https://hook.example:{over_tls.port}/hook"

    assert "CERTIFICATE_VERIFY_FAILED" in sent_to(url).error
    assert over_tls.got == []

    trusted = posting.ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(posting, "_TLS", trusted)
    delivered(later(minutes=1))
    assert [one.headers["host"] for one in over_tls.got] == [f"hook.example:{over_tls.port}"]
    assert states() == ["completed"]

    subscribed(a_firm(), over_tls.url, event_types=FROZEN)  # by its address, which the certificate doesn't name
    changed(a_customer())
    delivered(later(minutes=1))
    assert len(over_tls.got) == 2
    attempt = WebhookAttempt.objects.exclude(error="").order_by("pk").last()
    assert attempt is not None
    assert "IP address mismatch" in attempt.error

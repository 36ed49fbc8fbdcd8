"""`manage.py payments`: money in and out by a bank's files: payouts, payment files, statements."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from accounts import clock
from accounts.ids import pasted_guid
from accounts.management import who
from accounts.management.exits import WaitsForPerson
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand, amount
from accounts.money import from_base_units
from trades.errors import PaymentNotFound
from trades.management import bank_files
from trades.models import Payment, StatementEntry
from trades.payments import files, manual, payouts, release, second_person, statements
from trades.states import PAYMENTS_UNDER_WAY

MOST_LISTED = 1_000


class Command(JSONCommand):
    help = "Payments by a bank's files: approve payouts, write payment files, import statements, assign what is left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        does.add_parser("list", help="payments under way, the oldest first")
        does.add_parser("entries", help="entries of statements that wait for a person, and what is to be sent back")
        for name, help_ in (
            ("approve", "let a payout be paid, as the first person"),
            ("agree", "as the second one; also of a deposit that somebody has imported or assigned above the limit"),
            ("refuse", "decline a payment that hasn't completed"),
        ):
            one = does.add_parser(name, help=help_)
            one.add_argument("payment", metavar="REFERENCE", help="what the bank is told, RF…; or the transfer's guid")
            if name == "refuse":
                one.add_argument(
                    "--stopped",
                    action="store_true",
                    help="the bank has refused or stopped it: what was sent may still be paid until then",
                )
        file_ = does.add_parser("file", help="the approved payouts that wait, as a file for the bank")
        file_.add_argument("--asset", help="of this currency alone")
        bank_files.add_file(file_)
        bank_files.add_import(does.add_parser("import", help=bank_files.IMPORT))
        release_ = does.add_parser(
            "release", help="say, as the second person, that an imported statement is the bank's"
        )
        release_.add_argument("statement", metavar="SHA256", help="of the file, as you got it from the bank yourself")
        assign = does.add_parser("assign", help="say which payment a listed entry is, or whose money came in")
        assign.add_argument("entry", metavar="GUID")
        assign.add_argument("to", metavar="REFERENCE|CUSTOMER", help="a payment's reference, or a customer's guid")
        send_back = does.add_parser("send-back", help="what came in is nobody's here, and is to be sent back")
        send_back.add_argument("entry", metavar="GUID")
        for one in (assign, send_back):
            one.add_argument("--reason", required=True)
        for name, one in does.choices.items():
            if name not in ("list", "entries"):
                who.add_by(one)
            super().add_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        {
            "list": self._list,
            "entries": self._entries,
            "approve": self._decide,
            "agree": self._decide,
            "refuse": self._decide,
            "file": self._file,
            "import": lambda given: bank_files.import_statement(self, given),
            "release": self._release,
            "assign": self._assign,
            "send-back": self._send_back,
        }[options["does"]](options)

    def _list(self, options: dict[str, Any]) -> None:
        found = Payment.objects.filter(rail=Payment.Rail.BANK_FILE, state__in=PAYMENTS_UNDER_WAY).order_by("pk")
        rows = list(found.select_related("asset", "external_bank_account", "payment_file")[:MOST_LISTED])
        facts = {"payments": [_told(one) for one in rows]}
        self.say_found(options, facts, [_written(one) for one in rows], nothing="No payment is under way.")

    def _entries(self, options: dict[str, Any]) -> None:
        waits = [StatementEntry.State.LISTED, StatementEntry.State.SEND_BACK]
        found = StatementEntry.objects.filter(state__in=waits).order_by("pk")
        rows = list(found.select_related("asset", "instruction", "payment")[:MOST_LISTED])
        facts = {"entries": [bank_files.told_of_entry(one) for one in rows]}
        self.say_found(options, facts, [bank_files.written_of_entry(one) for one in rows], nothing="No entry waits.")

    def _decide(self, options: dict[str, Any]) -> None:
        deed = "agree_to_payment" if options["does"] == "agree" else "handle_payment"
        payment_id, by, at = _payment(options["payment"]), who.actor(options, deed), clock.firm_now()
        if options["does"] == "approve":
            payouts.approve(payment_id, by=by, at=at)
        elif options["does"] == "refuse":
            manual.refuse(payment_id, by=by, at=at, is_stopped=options["stopped"])
        else:
            second_person.agree(payment_id, by=by, at=at)
        one = Payment.objects.select_related("asset", "external_bank_account", "payment_file").get(pk=payment_id)
        self.say(options, _told(one), _written(one))
        if options["does"] == "refuse" and one.state in PAYMENTS_UNDER_WAY:
            raise WaitsForPerson("A second person says as well that the bank has stopped it: payments agree.")

    def _file(self, options: dict[str, Any]) -> None:
        bank_files.must_be_free(options["output"])
        given = {"asset": options["asset"], "by": who.actor(options, "make_payment_file"), "at": clock.firm_now()}
        if options["repeat"]:
            bank_files.write(self, options, files.repeat_file(options["format"], **given), "payouts", passed_over=[])
            return
        made = files.make_file(options["format"], **given)
        held_up = [one.remittance_reference for one in made.passed_over]
        bank_files.write(self, options, made.file, "payouts", passed_over=held_up)

    def _release(self, options: dict[str, Any]) -> None:
        found = release.release(options["statement"], by=who.actor(options, "release_statement"), at=clock.firm_now())
        facts = {
            "file_guid": found.file.pk,
            "sha256": found.file.sha256,
            "completed": found.completed,
            "waiting": [_told(one) for one in found.waiting],
        }
        lines = [_written(one) for one in found.waiting]
        self.say(options, facts, f"{found.file.name} is released: {found.completed} deposits completed.", *lines)
        if found.waiting:
            raise WaitsForPerson(
                f"{len(found.waiting)} deposits wait all the same: their customer is frozen or not verified, or their"
                " reference is taken. Agree to each, or refuse it."
            )

    def _assign(self, options: dict[str, Any]) -> None:
        entry, to = guid_of(options["entry"]), options["to"]
        one = statements.assign(
            entry,
            pasted_guid(to) or to,
            note=options["reason"],
            by=who.actor(options, "match_entry"),
            at=clock.firm_now(),
        )
        self.say(options, bank_files.told_of_entry(one), bank_files.written_of_entry(one))

    def _send_back(self, options: dict[str, Any]) -> None:
        entry, by = guid_of(options["entry"]), who.actor(options, "match_entry")
        one = statements.mark_to_send_back(entry, note=options["reason"], by=by, at=clock.firm_now())
        self.say(options, bank_files.told_of_entry(one), bank_files.written_of_entry(one))


def _payment(text: str) -> UUID:
    """Raises PaymentNotFound."""
    guid = pasted_guid(text)
    found = Payment.objects.filter(pk=guid) if guid else Payment.objects.filter(remittance_reference=text.upper())
    payment_id = found.values_list("pk", flat=True).first()
    if payment_id is None:
        raise PaymentNotFound(f"There is no payment {text[:40]!r}.")
    return payment_id


def _stands(one: Payment) -> str:
    """Where it stands, in words."""
    if one.payment_file and one.state in PAYMENTS_UNDER_WAY:
        stopped = ", said to be stopped: waits for a second person" if one.stopped_by_id else ""
        return f"sent in {one.payment_file.message_id}{stopped}"
    if one.payment_file:
        return one.state
    if not one.goes_by_file or one.state not in PAYMENTS_UNDER_WAY:
        needs_checker = one.needs_checker and one.state in PAYMENTS_UNDER_WAY
        return f"{one.state}, waits for a second person" if needs_checker else one.state
    if one.is_approved:
        return "approved"
    return "waits for a second person" if one.made_by_id else "waits to be approved"


def _told(one: Payment) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "remittance_reference": one.remittance_reference,
        "customer_guid": one.customer_id,
        "side": one.side,
        "amount": amount(one.receive_amount if one.leaves else one.deliver_amount, one.asset_id, one.asset.decimals),
        "state": one.state,
        "stands": _stands(one),
        "holder": one.external_bank_account.holder if one.external_bank_account else None,
        "payment_file": one.payment_file.message_id if one.payment_file else None,
    }


def _written(one: Payment) -> str:
    units = from_base_units(one.receive_amount if one.leaves else one.deliver_amount, one.asset.decimals)
    account = one.external_bank_account
    to = f" {'to' if one.leaves else 'from'} {account.holder} {account.masked}" if account else ""
    return f"{one.remittance_reference} {one.side} {units:f} {one.asset_id}{to}: {_stands(one)}"

"""What commands do with a bank's files: write payment files, import statements, tell of entries."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from accounts import clock
from accounts.management import who
from accounts.management.exits import Found, Refused, WaitsForPerson
from accounts.management.output import JSONCommand, amount
from accounts.models import Asset
from trades.bank.entries import MOST_BYTES
from trades.models import PaymentFile, StatementEntry
from trades.payments import preview, statements
from trades.payments.matching import CONTRADICTING, REASONS, became, waits_for_a_person

IMPORT: Final = "a bank's statement, camt.053 or CSV: legs are told, payments complete or come back"


def add_file(parser: ArgumentParser) -> None:
    """The arguments of a command that hands out a payment file."""
    parser.add_argument("--format", required=True, choices=PaymentFile.Format.values)
    parser.add_argument("--output", required=True, type=Path, help="where to write it; a file is never replaced")
    parser.add_argument("--repeat", action="store_true", help="the newest one once more, the same bytes")


def add_import(parser: ArgumentParser) -> None:
    """The arguments of a command that imports a statement."""
    parser.add_argument("statement", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="tell what it would do")


def import_statement(command: JSONCommand, options: dict[str, Any]) -> None:
    """Import, or say what that would do.

    Raises Refused, Malformed, Found for what contradicts what it names, and WaitsForPerson for deposits that a second
    person has to agree to, of the file or of an earlier one with which the import went on.
    """
    path: Path = options["statement"]
    try:
        with path.open("rb") as read:
            content = read.read(MOST_BYTES + 1)  # more is refused, and not read
    except OSError as failure:
        raise Refused(f"{path} can't be read: {failure.strerror}.") from None
    does = preview.preview_statement if options["dry_run"] else statements.import_statement
    found = does(content, name=path.name, by=who.actor(options, "import_statement"), at=clock.firm_now())
    facts = {
        "dry_run": options["dry_run"],
        "known": found.known,
        "sha256": found.sha256,
        "entries": [told_of_entry(one) for one in found.entries],
        "earlier": [told_of_entry(one) for one in found.earlier],
    }
    lines = [written_of_entry(one) for one in found.entries]
    lines += [f"of an earlier import: {written_of_entry(one)}" for one in found.earlier]
    nothing = {} if found.every else {"nothing": True}
    command.say(options, facts | nothing, *lines, f"{found.known} known before.")
    listed = found.in_state(StatementEntry.State.LISTED)
    if against := [one for one in listed if one.named and one.reason in CONTRADICTING]:
        first = f"{against[0].bank_reference or against[0].pk.hex}, {REASONS[against[0].reason]}"
        raise Found(f"{len(against)} contradict what they name, the first: {first}.")
    if waiting := [one for one in found.every if waits_for_a_person(one)]:
        raise WaitsForPerson(
            f"{len(waiting)} deposits wait for a second person: release the statement by its SHA-256, or agree to each."
        )


def told_of_entry(one: StatementEntry) -> dict[str, Any]:
    moved = None if one.asset is None or one.amount is None else amount(one.amount, one.asset.code, one.asset.decimals)
    return {
        "guid": one.pk,
        "number": one.number,
        "state": one.state,
        "reason": one.reason,
        "instruction": one.instruction.reference if one.instruction else None,
        "payment_guid": one.payment_id,
        "waits_for_a_person": waits_for_a_person(one),
        "direction": one.direction,
        "amount": moved,
        "amount_text": one.amount_text,
        "currency": one.currency,
        "bank_reference": one.bank_reference,
        "note": one.note,
    }


def written_of_entry(one: StatementEntry) -> str:
    what = f"{one.direction} {one.amount_text} {one.currency} {one.bank_reference}"
    return f"{one.pk.hex} {what}: {one.state}, {became(one)}"


def must_be_free(output: Path) -> None:
    """Asked before anything is made. Raises Refused."""
    try:
        if output.exists():
            raise Refused(f"{output} is there already; nothing is replaced.")
        if not output.parent.is_dir():
            raise Refused(f"{output} can't be written: there is no directory {output.parent}.")
    except OSError as failure:
        raise Refused(f"{output} can't be written: {failure.strerror}.") from None


def write(command: JSONCommand, options: dict[str, Any], made: PaymentFile, of: str, **more: Any) -> None:
    """Write a file that was made, and tell of it; `of`: what it holds. Raises Found where it can't be written."""
    output: Path = options["output"]
    try:
        _write(output, bytes(made.content))
    except OSError as failure:
        raise Found(
            f"The file {made.message_id} is made, and can't be written to {output}: {failure.strerror}. "
            "Write it with --repeat."
        ) from None
    repeat = ", a repeat" if made.repeat_of_id else ""
    line = f"{output}: {made.instructions_count} {of}, {made.message_id}{repeat}, SHA-256 {made.sha256}"
    command.say(options, _told_of(made, of, output) | more, line)


def _write(output: Path, content: bytes) -> None:
    """The whole of it or nothing: half an order for a bank is none."""
    with output.open("xb") as written:
        try:
            written.write(content)
            written.flush()
        except OSError:
            output.unlink()
            raise


def _told_of(made: PaymentFile, of: str, output: Path) -> dict[str, Any]:
    return {
        "message_id": made.message_id,
        "format": made.format,
        "repeat": made.repeat_of_id is not None,
        f"{of}_count": made.instructions_count,
        "control_sums": [
            amount(int(made.control_sums[asset.code]), asset.code, asset.decimals)
            for asset in Asset.objects.filter(code__in=made.control_sums).order_by("code")
        ],
        "sha256": made.sha256,
        "output": str(output),
    }

"""What the log has of every association at DEBUG: its negotiation, and its messages.

Of data sets it shows identifiers alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pynetdicom import _config
from pynetdicom.uids import named, named_all
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.dimse.messages import Message
    from pynetdicom.dimse.primitives import Primitive
    from pynetdicom.upper_layer.contexts import PresentationContext

ACSE = logging.getLogger("pynetdicom.acse")
DIMSE = logging.getLogger("pynetdicom.dimse")
OPERATIONS = logging.getLogger("pynetdicom.operations")


def is_wanted(logger: logging.Logger) -> bool:
    """Whether anything is to be shown by a logger."""
    return _config.LOG_HANDLER_LEVEL != "none" and logger.isEnabledFor(logging.DEBUG)


def are_operations_wanted() -> bool:
    """Whether there is to be a line of each operation, at INFO."""
    return _config.LOG_HANDLER_LEVEL != "none" and OPERATIONS.isEnabledFor(logging.INFO)


def show_pdu(verb: str, pdu: Any) -> None:
    """Show a PDU of the negotiation, if that is wanted: a line each field, without credentials."""
    if is_wanted(ACSE):
        show_lines(ACSE, verb, pdu.dump("  ").splitlines())


def show_contexts(contexts: Iterable[PresentationContext]) -> None:
    """Show what became of the presentation contexts, if that is wanted: a line each, by name."""
    if not is_wanted(ACSE):
        return
    for context in sorted(contexts, key=lambda context: context.context_id or 0):
        syntax = "" if context.result else f", {named_all(context.transfer_uids)}"
        what = f"{named(context.abstract_uid)}: {context.status}{syntax}"
        ACSE.debug("presentation context %s: %s", context.context_id, what)


def show_lines(logger: logging.Logger, head: str, lines: Iterable[str]) -> None:
    """Show what takes several lines, each a record of its own."""
    for line in (head, *lines):
        logger.debug("%s", printable(line))


def show_message(verb: str, message: Message) -> None:
    """Show a message in one line."""
    primitive = message.primitive
    uids = (getattr(primitive, f"{side}SOPClassUID", None) for side in ("Affected", "Requested"))
    which = "".join(f", {named(uid)}" for uid in uids if uid)
    what = f"{message.name} on context {message.context_id}{which}"
    DIMSE.debug("%s %s: %s", verb, what, printable(repr(primitive), 512 - len(what)))


def log_identifier(logger: logging.Logger, message: Primitive, wanted: bool) -> None:
    """Show the identifier of a message, if that is `wanted` and it can be decoded."""
    if not (wanted and message.data_set is not None and logger.isEnabledFor(logging.DEBUG)):
        return
    try:
        show_identifier(logger, message, message.data_set.decode())
    except Exception as error:  # what a peer sends may be anything
        name = type(error).__name__
        logger.debug("the identifier of the %s cannot be shown: %s", message.message_name, name)


def show_identifier(logger: logging.Logger, message: Primitive, identifier: Dataset) -> None:
    """Log an identifier, at DEBUG only: it is about the patient."""
    from pynetdicom.dsutils import pretty_dataset

    lines = pretty_dataset(identifier, 1)
    show_lines(logger, f"identifier of the {message.message_name}", lines)

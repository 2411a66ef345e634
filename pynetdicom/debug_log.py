"""What the log has of every association at DEBUG: its negotiation, and its messages.

Of messages it shows the command sets; identifiers are shown by `serving.log_identifier`, other data
sets never.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pynetdicom import _config
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Message

ACSE = logging.getLogger("pynetdicom.acse")
DIMSE = logging.getLogger("pynetdicom.dimse")


def shows_messages() -> bool:
    """Whether messages are to be shown; asked once an association, they come too often for it."""
    return _config.LOG_HANDLER_LEVEL != "none" and DIMSE.isEnabledFor(logging.DEBUG)


def show_pdu(verb: str, pdu: Any) -> None:
    """Show a PDU of the negotiation, if that is wanted: a line each field, without credentials."""
    if _config.LOG_HANDLER_LEVEL == "none" or not ACSE.isEnabledFor(logging.DEBUG):
        return
    ACSE.debug("%s", verb)
    for line in pdu.dump("  ").splitlines():
        ACSE.debug("%s", printable(line))


def show_message(verb: str, message: Message) -> None:
    """Show a message in one line."""
    DIMSE.debug("%s %s", verb, printable(repr(message)[1:-1]))

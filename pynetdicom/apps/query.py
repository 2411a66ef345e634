"""What findscu, getscu and movescu have in common: options, negotiation, and the way to the end.

An operation always comes to its final response: also when it is cancelled, after so many responses
or by Ctrl-C, since only then is it known what has been done.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import options
from pynetdicom.apps.keys import WrongKey, make_query
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.requestor import peer_name
from pynetdicom.network import threads
from pynetdicom.query_models import query_model_uid
from pynetdicom.services.levels import LEVELS
from pynetdicom.uids import named

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association import Association
    from pynetdicom.association.responses import Responses
    from pynetdicom.upper_layer.contexts import PresentationContext

LOGGER = logging.getLogger(__name__)

option = options.option

PENDING = (0xFF00, 0xFF01)
SUCCESS = 0x0000
CANCELLED = 0xFE00
FINAL_RESPONSE_SECONDS = 10.0
"""How long the peer may take to end an operation that was cancelled."""

UPS_PULL = "1.2.840.10008.5.1.4.34.6.3"

MODELS = {
    "P": option(
        "-P", "--patient", dest="model", action="store_const", const="P", default="P",
        help="use the patient root information model (default)",
    ),
    "S": option(
        "-S", "--study", dest="model", action="store_const", const="S",
        help="use the study root information model",
    ),
    "O": option(
        "-O", "--psonly", dest="model", action="store_const", const="O",
        help="use the patient/study only information model",
    ),
    "W": option(
        "-W", "--worklist", dest="model", action="store_const", const="W",
        help="use the modality worklist information model",
    ),
    "U": option(
        "-U", "--ups", dest="model", action="store_const", const=UPS_PULL,
        help="use the unified procedure step information model (UPS Pull)",
    ),
}  # fmt: skip
MODEL_NAMES = {
    "P": "the patient root model",
    "S": "the study root model",
    "O": "the patient/study only model",
    "W": "the modality worklist",
    UPS_PULL: "unified procedure steps",
}
WITHOUT_LEVEL = ("W", UPS_PULL)
IDENTIFIER = (
    option(
        "-k", "--keyword", action="append", default=[], metavar="KEY",
        help="add a key: KEYWORD=value, (gggg,eeee)=value or SEQUENCE[0].KEYWORD=value; without"
        " value it is asked for. Several values are separated by a backslash",
    ),
    option(
        "-f", "--file", metavar="FILE",
        help="take the keys from a DICOM file, or from DICOM JSON if its name ends in .json; those"
        " of -k replace them",
    ),
    option(
        "--level", metavar="LEVEL", type=str.upper, choices=("PATIENT", "STUDY", "SERIES", "IMAGE"),
        help="the level, as -k QueryRetrieveLevel=LEVEL: PATIENT, STUDY, SERIES or IMAGE",
    ),
)  # fmt: skip

# By dest: the byte of the application information that says it (PS3.4 C.5.1.1, C.5.2.1, K.5.1).
FIND_NEGOTIATION = (
    option("--relational-query", action="store_true", help="propose relational queries"),
    option("--dt-matching", action="store_true", help="propose combined date-time matching"),
    option("--fuzzy-names", action="store_true", help="propose fuzzy matching of person names"),
    option("--timezone-adj", action="store_true", help="propose timezone query adjustment"),
    option(
        "--enhanced-conversion", action="store_true",
        help="propose enhanced multi-frame image conversion",
    ),
)  # fmt: skip
RETRIEVE_NEGOTIATION = (
    option("--relational-retrieval", action="store_true", help="propose relational retrieval"),
    FIND_NEGOTIATION[-1],
)
NEGOTIATED = {
    "C-FIND": (
        "relational_query", "dt_matching", "fuzzy_names", "timezone_adj", "enhanced_conversion",
    ),
    "C-GET": ("relational_retrieval", "enhanced_conversion"),
    "C-MOVE": ("relational_retrieval", "enhanced_conversion"),
}  # fmt: skip
# A worklist query always is relational, with dates and times combined; it has no images (PS3.4
# K.5.1).
ALWAYS_IN_A_WORKLIST = ("relational_query", "dt_matching")
NEVER_IN_A_WORKLIST = ("enhanced_conversion",)


def cancel_option(what: str) -> Sequence[options.Option]:
    """Give the option that cancels after so many of something."""
    return (
        option(
            "--cancel", type=options._at_least(1), metavar="N",
            help=f"cancel the operation after N {what}",
        ),
    )  # fmt: skip


def application_information(args: Namespace, operation: str) -> bytes:
    """Give the bytes that propose what the command line asks for; none if it asks for nothing."""
    names = NEGOTIATED[operation]
    if args.model == "W":
        names = tuple(name for name in names if name not in NEVER_IN_A_WORKLIST)
    asked = [name for name in names if getattr(args, name)]
    if not asked:
        return b""
    if args.model == "W":
        asked += ALWAYS_IN_A_WORKLIST
    return bytes(name in asked for name in names).rstrip(b"\0")


def negotiation(args: Namespace, operation: str) -> list[Any]:
    """Give the items that propose what the command line asks for (PS3.7 D.3.3.5)."""
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

    information = application_information(args, operation)
    if not information:
        return []
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = query_model_uid(operation, args.model)
    item.service_class_application_information = information
    return [item]


def report_refused(args: Namespace, operation: str, assoc: Association, terminal: Terminal) -> None:
    """Say which of the proposed extensions the peer has not agreed to."""
    answers = assoc.acceptor.sop_class_extended
    answer = answers.get(query_model_uid(operation, args.model), b"")
    for number, name in enumerate(NEGOTIATED[operation]):
        if getattr(args, name) and answer[number : number + 1] != b"\1":
            flag = name.replace("_", "-")
            terminal.warning(f"{peer_name(args)} does not agree to --{flag}")


def levels_of(model: str) -> Sequence[str]:
    """The levels of an information model, from the top."""
    return LEVELS.get(query_model_uid("C-FIND", model).rpartition(".")[0], ())


def identifier(args: Namespace, terminal: Terminal, usual: Sequence[str] = ()) -> Dataset | None:
    """Make the identifier; None, with the problem reported, if that cannot be.

    The keys in `usual` are asked for, too.
    """
    if not (args.keyword or args.file is not None or usual):
        terminal.problem("no keys: say what to look for with -k or -f (--help tells more)")
        return None
    levels = levels_of(args.model)
    if args.level and args.level not in levels:
        has = ", ".join(levels) or "no levels"
        terminal.problem(f"--level {args.level}: {MODEL_NAMES[args.model]} has {has}")
        return None
    level = (f"QueryRetrieveLevel={args.level}",) if args.level else ()
    try:
        query = make_query(args.file, args.keyword, (*level, *usual))
    except WrongKey as problem:
        terminal.problem(str(problem))
        return None
    if args.model not in WITHOUT_LEVEL and not query.get("QueryRetrieveLevel"):
        terminal.warning("no level: the peer may want, for example, --level STUDY")
    return query


def model_context(args: Namespace, operation: str) -> PresentationContext:
    """Make the presentation context of the information model."""
    from pynetdicom.presentation import build_context

    syntaxes = [options.EXPLICIT_LITTLE, options.IMPLICIT_LITTLE]
    return build_context(query_model_uid(operation, args.model), syntaxes)


def is_accepted(args: Namespace, operation: str, assoc: Association, terminal: Terminal) -> bool:
    """Whether the peer does the operation with the model; it is a problem if not."""
    uid = query_model_uid(operation, args.model)
    if any(context.abstract_syntax == uid for context in assoc.accepted_contexts):
        report_refused(args, operation, assoc, terminal)
        return True
    name = MODEL_NAMES[args.model]
    terminal.problem(
        f"{peer_name(args)} does not do {operation} with {name}: {named(uid)} was not accepted"
    )
    return False


class Cancellable:
    """Carries an operation to its final response, also if it is cancelled on the way.

    While it is entered, Ctrl-C cancels the operation; the second one raises KeyboardInterrupt. A
    thread does it: a signal handler runs in the midst of whatever the main thread is doing.

    Attributes
    ----------
    responses : Responses
        The responses, to be iterated over to the end.
    is_cancelled : bool
        Whether somebody has cancelled it.
    is_interrupted : bool
        Whether that was by Ctrl-C.
    """

    def __init__(self, assoc: Association, responses: Responses) -> None:
        self.is_cancelled = self.is_interrupted = False
        self._assoc = assoc
        self.responses = responses
        self._wishes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def cancel(self) -> None:
        """Ask the peer to come to an end; returns at once."""
        if not self.is_cancelled:
            self.is_cancelled = True
            self._wishes.put(True)

    def __enter__(self) -> Cancellable:
        try:
            self._thread = threads.start("cancel", self._serve, failed=self._assoc.abort)
        except RuntimeError as error:  # there are too many: the second Ctrl-C ends it
            LOGGER.warning("Ctrl-C will not cancel the operation: %s", error)
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self._wishes.put(False)
        self.responses.close()
        if self._thread is not None:
            self._thread.join(FINAL_RESPONSE_SECONDS)

    def _interrupt(self, number: int, frame: object) -> None:
        if self.is_interrupted:
            raise KeyboardInterrupt
        self.is_interrupted = True
        self.cancel()

    def _serve(self) -> None:
        if not self._wishes.get():
            return
        try:
            self._assoc.send_c_cancel(self.responses.message_id)
        except (RuntimeError, ValueError):  # it has ended meanwhile
            return
        try:
            self._wishes.get(timeout=FINAL_RESPONSE_SECONDS)
        except queue.Empty:
            self._assoc.abort()


def describe(status: int, table: str) -> str:
    """A status as text."""
    from pynetdicom.services.statuses import status_dict

    _, text = status_dict(table).get(status, ("", ""))
    return f"0x{status:04X} ({text})" if text else f"0x{status:04X}"


def describe_response(status: Dataset, table: str) -> str:
    """The status of an N-service's response, its comment and the attributes that it names."""
    from pydicom.datadict import keyword_for_tag

    code = status.get("Status")
    if code is None:
        return "no answer"
    tags = status.get("AttributeIdentifierList") or []
    tags = [tags] if isinstance(tags, int) else tags
    names = ", ".join(keyword_for_tag(tag) or str(tag) for tag in tags)
    return ": ".join(filter(None, (describe(code, table), status.get("ErrorComment"), names)))


def report_final(
    operation: str, status: Dataset, cancelled: bool, table: str, terminal: Terminal
) -> None:
    """Report a final response that is not what was hoped for."""
    if "Status" not in status:
        terminal.problem(f"{operation}: {getattr(status, 'problem', None) or 'no answer'}")
        return
    if status.Status == SUCCESS or (cancelled and status.Status == CANCELLED):
        return
    comment = status.get("ErrorComment")
    text = f"{operation} ends with {describe(status.Status, table)}"
    terminal.problem(f"{text}: {comment}" if comment else text)

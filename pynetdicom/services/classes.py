"""The service classes of PS3.4 as data: their SOP Classes, operations and statuses.

Nothing here runs; `services.engines` serves requests by what it reads here. `registry` finds the
service class of a SOP Class UID.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, ClassVar, NamedTuple

from pynetdicom.services import actions
from pynetdicom.uids import ROOT

FIND = ("C-FIND",)
GET = ("C-GET",)
MOVE = ("C-MOVE",)
STORE = ("C-STORE",)
ALL_N = ("N-EVENT-REPORT", "N-GET", "N-SET", "N-ACTION", "N-CREATE", "N-DELETE")


class Answers(NamedTuple):
    """The statuses that the library itself answers an operation with.

    Attributes
    ----------
    failed : int
        The handler raised, or there is none.
    undecodable : int
        The request's data set does not decode.
    not_encodable : int
        The handler's data set cannot be encoded.
    no_status, bad_status : int
        The handler gave a dataset without Status, or something that is not a status.
    no_resources : int
        The request's data set could not be kept.
    bad_count, too_many : int
        The number of sub-operations is missing or wrong, or above 65,535.
    no_destination, bad_destination, unknown_destination : int
        A C-MOVE handler gave no destination, a wrong one, or one that cannot be reached.
    """

    failed: int
    undecodable: int = 0x0110
    not_encodable: int = 0x0110
    no_status: int = 0xC001
    bad_status: int = 0xC002
    no_resources: int = 0x0213
    bad_count: int = 0
    too_many: int = 0
    no_destination: int = 0
    bad_destination: int = 0
    unknown_destination: int = 0xA801


SINGLE = frozenset(("C-ECHO", "C-STORE"))
"""The operations that have one response, without a data set."""

WITH_REPLY = frozenset(ALL_N)
"""The operations that have one response, which may have a data set."""

SEVERAL = frozenset(("C-FIND", "C-GET", "C-MOVE"))
"""The operations that have pending responses, and an identifier."""

ANSWERS: dict[str, Answers] = {
    # Whatever a handler does, the peer has been verified (PS3.4 A.4).
    "C-ECHO": Answers(failed=0x0000, no_status=0x0000, bad_status=0x0000),
    "C-STORE": Answers(failed=0xC211, undecodable=0xC210, no_resources=0xA700),
    "C-FIND": Answers(failed=0xC311, undecodable=0xC310, not_encodable=0xC312, no_resources=0xA700),
    "C-GET": Answers(
        failed=0xC411, undecodable=0xC410, no_resources=0xA701, bad_count=0xC413, too_many=0xC416
    ),
    "C-MOVE": Answers(
        failed=0xC511,
        undecodable=0xC510,
        no_resources=0xA701,
        bad_count=0xC513,
        too_many=0xC516,
        no_destination=0xC514,
        bad_destination=0xC515,
    ),
    **dict.fromkeys(ALL_N, Answers(failed=0x0110)),
}
"""By operation, in the order in which the library names operations."""

CANCELLED = 0xFE00
PENDING = (0xFF00, 0xFF01)
IDENTIFIER_MISMATCH = 0xA900
UNRECOGNIZED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212
RESOURCE_LIMITATION = 0x0213
DUPLICATE_INVOCATION = 0x0210
NO_SUCH_SOP_CLASS = 0x0118
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORIZED = 0x0124

NO_SUCH_TYPE = {"N-ACTION": ("ActionTypeID", 0x0123), "N-EVENT-REPORT": ("EventTypeID", 0x0113)}
"""Operation: its type, and the status that there is no such type (PS3.7 Annex C)."""

SopClasses = dict[str, tuple[str, ...]]
Types = dict[str, dict[str, Collection[int]]]

_WORDS = re.compile(r"[A-Z][a-z]+|[A-Z]+(?![a-z])")


def _sop_classes(*rows: tuple[str, tuple[str, ...]]) -> SopClasses:
    """UID → operations, or members, of rows of (UIDs without root, the same)."""
    return {ROOT + uid: operations for uids, operations in rows for uid in uids.split()}


def _uids(uids: str) -> tuple[str, ...]:
    """UIDs of those without root."""
    return tuple(ROOT + uid for uid in uids.split())


def _types(*rows: tuple[str, str, Collection[int]]) -> Types:
    """UID → operation → types, of rows of (UIDs without root, operation, types)."""
    types: Types = {}
    for uids, operation, ids in rows:
        for uid in uids.split():
            types.setdefault(ROOT + uid, {})[operation] = ids
    return types


def _models(*roots: str, first: int = 1) -> SopClasses:
    """Information models, whose FIND, MOVE and GET are the numbers from `first` on."""
    return {
        f"{ROOT}{root}.{first + n}": operations
        for root in roots
        for n, operations in enumerate((FIND, MOVE, GET))
    }


def _storage(*rows: str) -> SopClasses:
    return {f"{ROOT}5.1.4.1.1.{uid}": STORE for row in rows for uid in row.split()}


class ServiceClass:
    """A service of PS3.4; SOP Classes that belong to none are of this base class.

    Subclass a service class to give `pynetdicom.register_uid` other operations.

    Attributes
    ----------
    name : str
        The service's name: the words of the class's where a subclass does not say otherwise.
    operations : tuple of str
        The DIMSE operations of all its SOP Classes, such as ``"C-STORE"``. They follow from
        `sop_classes` where a subclass has its own of those and does not say otherwise.
    sop_classes : dict
        SOP Class UID → its operations, in the standard's order. Storage has the usual ones only.
    types : dict
        SOP Class UID → operation → the Action Type IDs, or Event Type IDs, that there are, alone
        or with their names; any, where there is no row. Requests for others are refused.
    members : dict
        Meta SOP Class UID → the SOP Classes that its context stands for, whose UIDs the messages
        have.
    status_table : str
        Name of a table of `services.statuses`; C-GET and C-MOVE have their own in every service,
        ``QR_GET_SERVICE_CLASS_STATUS`` and ``QR_MOVE_SERVICE_CLASS_STATUS``.
    """

    name: ClassVar[str] = ""
    operations: ClassVar[tuple[str, ...]] = ()
    sop_classes: ClassVar[SopClasses] = {}
    types: ClassVar[Types] = {}
    members: ClassVar[dict[str, tuple[str, ...]]] = {}
    status_table: ClassVar[str] = "GENERAL_STATUS"

    def __init__(self, assoc: Any = None) -> None:
        """Stand for the service on an association; nothing of this library needs such an object."""
        self.assoc = assoc
        self.ae = getattr(assoc, "ae", None)

    def __init_subclass__(cls) -> None:
        own = vars(cls)
        if "name" not in own:
            cls.name = " ".join(_WORDS.findall(cls.__name__.removesuffix("ServiceClass")))
        if "sop_classes" in own and "operations" not in own:
            used = set().union(*cls.sop_classes.values())
            cls.operations = tuple(operation for operation in ANSWERS if operation in used)


class VerificationServiceClass(ServiceClass):
    """Verification, PS3.4 Annex A."""

    sop_classes = _sop_classes(("1.1", ("C-ECHO",)))
    status_table = "VERIFICATION_SERVICE_CLASS_STATUS"


class StorageServiceClass(ServiceClass):
    """Storage, PS3.4 Annex B.

    `sop_classes` has those in real use, the most used first; `registry` knows the rest by rule.
    """

    status_table = "STORAGE_SERVICE_CLASS_STATUS"
    sop_classes = _storage(
        # images of every day: CT, MR, CR, DX, MG, US, SC, XA, RF, NM, PET
        "2 4 1 1.1 1.2 6.1 3.1 7 12.1 12.2 20 128 1.1.1 1.2.1 1.3 1.3.1 13.1.3 13.1.4",
        # what goes with them: presentation states, key objects, reports, dose, PDF, raw data
        "11.1 88.59 88.11 88.22 88.33 88.67 104.1 66 66.4 66.1 67 11.2 88.34 88.40 88.50 88.65",
        # radiotherapy
        "481.1 481.2 481.3 481.5 481.4 481.6 481.7 481.8 481.9",
        # multi-frame secondary capture, enhanced and legacy converted images
        "7.1 7.2 7.3 7.4 2.1 4.1 4.2 4.3 130 6.2 12.1.1 12.2.1 13.1.1 13.1.2 2.2 4.4 128.1",
        # visible light, video, ophthalmology
        "77.1.4 77.1.1 77.1.2 77.1.3 77.1.6 77.1.1.1 77.1.2.1 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.3",
        "77.1.5.4 78.1 78.2 78.3 78.4 78.5 78.6 78.7 78.8 79.1 80.1 81.1",
        # waveforms
        "9.1.1 9.1.2 9.1.3 9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1",
        # the rest
        "11.3 11.4 11.5 14.1 14.2 66.2 66.3 66.5 68.1 68.2 88.69 88.70 104.2 131",
        "30 88.68 88.73 104.3",
        # retired, and still in archives: US, US multi-frame, NM, bi-plane XA
        "6 3 5 12.3",
    ) | _sop_classes(("5.1.4.34.7", STORE))


class QueryRetrieveServiceClass(ServiceClass):
    """Query/Retrieve, PS3.4 Annexes C, Y, Z and JJ."""

    sop_classes = (
        _models("5.1.4.1.2.1", "5.1.4.1.2.2", "5.1.4.1.2.3")
        | _sop_classes(("5.1.4.1.2.4.2", MOVE), ("5.1.4.1.2.4.3 5.1.4.1.2.5.3", GET))
        | _sop_classes(("5.1.4.1.1.201.6", FIND))
    )
    status_table = "QR_FIND_SERVICE_CLASS_STATUS"


class ProcedureStepServiceClass(ServiceClass):
    """Modality Performed Procedure Step, PS3.4 Annex F."""

    sop_classes = _sop_classes(
        ("3.1.2.3.3", ("N-CREATE", "N-SET")),
        ("3.1.2.3.4", ("N-GET",)),
        ("3.1.2.3.5", ("N-EVENT-REPORT",)),
    )
    types = _types(("3.1.2.3.5", "N-EVENT-REPORT", actions.PROCEDURE_STEP_EVENTS))
    status_table = "PROCEDURE_STEP_STATUS"


class PrintManagementServiceClass(ServiceClass):
    """Print Management, PS3.4 Annex H."""

    sop_classes = _sop_classes(
        ("5.1.1.1 5.1.1.2", ("N-SET", "N-ACTION", "N-CREATE", "N-DELETE")),
        ("5.1.1.4 5.1.1.4.1", ("N-SET",)),
        ("5.1.1.14", ("N-EVENT-REPORT", "N-GET")),
        ("5.1.1.15", ("N-SET",)),
        ("5.1.1.16", ("N-EVENT-REPORT", "N-GET")),
        ("5.1.1.16.376", ("N-GET",)),
        ("5.1.1.23", ("N-CREATE", "N-DELETE")),
        # The Meta SOP Classes: each member has its own of these.
        ("5.1.1.9 5.1.1.18", ALL_N),
    )
    types = _types(
        ("5.1.1.1 5.1.1.2", "N-ACTION", actions.PRINT),
        ("5.1.1.14", "N-EVENT-REPORT", actions.PRINT_JOB_EVENTS),
        ("5.1.1.16", "N-EVENT-REPORT", actions.PRINTER_EVENTS),
    )
    # Film session, film box, image box, printer.
    members = _sop_classes(
        ("5.1.1.9", _uids("5.1.1.1 5.1.1.2 5.1.1.4 5.1.1.16")),
        ("5.1.1.18", _uids("5.1.1.1 5.1.1.2 5.1.1.4.1 5.1.1.16")),
    )
    status_table = "PRINT_JOB_MANAGEMENT_SERVICE_CLASS_STATUS"


class StorageCommitmentServiceClass(ServiceClass):
    """Storage Commitment, PS3.4 Annex J."""

    sop_classes = _sop_classes(("1.20.1", ("N-EVENT-REPORT", "N-ACTION")))
    types = _types(
        ("1.20.1", "N-ACTION", actions.COMMITMENT),
        ("1.20.1", "N-EVENT-REPORT", actions.COMMITMENT_EVENTS),
    )
    status_table = "STORAGE_COMMITMENT_SERVICE_CLASS_STATUS"


class BasicWorklistManagementServiceClass(QueryRetrieveServiceClass):
    """Basic Worklist Management, PS3.4 Annex K."""

    sop_classes = _sop_classes(("5.1.4.31", FIND))
    status_table = "MODALITY_WORKLIST_SERVICE_CLASS_STATUS"


class ApplicationEventLoggingServiceClass(ServiceClass):
    """Application Event Logging, PS3.4 Annex P."""

    sop_classes = _sop_classes(("1.40 1.42", ("N-ACTION",)))
    types = _types(
        ("1.40", "N-ACTION", actions.RECORD_PROCEDURAL_EVENT),
        ("1.42", "N-ACTION", actions.RECORD_SUBSTANCE_ADMINISTRATION),
    )
    status_table = "APPLICATION_EVENT_LOGGING_SERVICE_CLASS_STATUS"


class RelevantPatientInformationQueryServiceClass(ServiceClass):
    """Relevant Patient Information Query, PS3.4 Annex Q."""

    sop_classes = _sop_classes(("5.1.4.37.1 5.1.4.37.2 5.1.4.37.3", FIND))
    status_table = "RELEVANT_PATIENT_SERVICE_CLASS_STATUS"


class InstanceAvailabilityNotificationServiceClass(ServiceClass):
    """Instance Availability Notification, PS3.4 Annex R."""

    sop_classes = _sop_classes(("5.1.4.33", ("N-CREATE",)))


class MediaCreationManagementServiceClass(ServiceClass):
    """Media Creation Management, PS3.4 Annex S."""

    sop_classes = _sop_classes(("5.1.1.33", ("N-GET", "N-ACTION", "N-CREATE")))
    types = _types(("5.1.1.33", "N-ACTION", actions.MEDIA_CREATION))
    status_table = "MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS"


class HangingProtocolQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """Hanging Protocol Query/Retrieve, PS3.4 Annex U."""

    sop_classes = _models("5.1.4.38", first=2)


class SubstanceAdministrationQueryServiceClass(ServiceClass):
    """Substance Administration Query, PS3.4 Annex V."""

    sop_classes = _sop_classes(("5.1.4.41 5.1.4.42", FIND))
    status_table = "SUBSTANCE_ADMINISTRATION_SERVICE_CLASS_STATUS"


class ColorPaletteQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """Color Palette Query/Retrieve, PS3.4 Annex X."""

    sop_classes = _models("5.1.4.39", first=2)


class ImplantTemplateQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """Implant Template Query/Retrieve, PS3.4 Annex BB."""

    sop_classes = _models("5.1.4.43", "5.1.4.44", "5.1.4.45", first=2)


class UnifiedProcedureStepServiceClass(ServiceClass):
    """Unified Procedure Step, PS3.4 Annex CC."""

    sop_classes = _sop_classes(
        ("5.1.4.34.6.1", ("N-GET", "N-ACTION", "N-CREATE")),
        ("5.1.4.34.6.2", ("C-FIND", "N-GET", "N-ACTION")),
        ("5.1.4.34.6.3", ("C-FIND", "N-GET", "N-SET", "N-ACTION")),
        ("5.1.4.34.6.4", ("N-EVENT-REPORT",)),
        ("5.1.4.34.6.5", FIND),
    )
    types = _types(
        ("5.1.4.34.6.1", "N-ACTION", actions.REQUEST_CANCEL),
        ("5.1.4.34.6.2", "N-ACTION", actions.REQUEST_CANCEL | actions.SUBSCRIBE),
        ("5.1.4.34.6.3", "N-ACTION", actions.CHANGE_STATE),
        ("5.1.4.34.6.4", "N-EVENT-REPORT", actions.UPS_EVENTS),
    )
    status_table = "UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS"


class RTMachineVerificationServiceClass(ServiceClass):
    """RT Machine Verification, PS3.4 Annex DD."""

    sop_classes = _sop_classes(("5.1.4.34.8 5.1.4.34.9", ALL_N))
    status_table = "RT_MACHINE_VERIFICATION_SERVICE_CLASS_STATUS"


class DisplaySystemManagementServiceClass(ServiceClass):
    """Display System Management, PS3.4 Annex EE."""

    sop_classes = _sop_classes(("5.1.1.40", ("N-GET",)))


class NonPatientObjectStorageServiceClass(StorageServiceClass):
    """Non-Patient Object Storage, PS3.4 Annex GG."""

    sop_classes = _sop_classes(
        ("5.1.4.38.1 5.1.4.39.1 5.1.4.43.1 5.1.4.44.1 5.1.4.45.1", STORE),
        ("5.1.4.1.1.200.1 5.1.4.1.1.200.3 5.1.4.1.1.200.7 5.1.4.1.1.201.1", STORE),
    )
    status_table = "NON_PATIENT_SERVICE_CLASS_STATUS"


class DefinedProcedureProtocolQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """Defined Procedure Protocol Query/Retrieve, PS3.4 Annex HH."""

    sop_classes = _models("5.1.4.20")


class ProtocolApprovalQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """Protocol Approval Query/Retrieve, PS3.4 Annex II."""

    sop_classes = _models("5.1.4.1.1.200", first=4)


class InventoryQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """Inventory Query/Retrieve, PS3.4 Annex JJ."""

    sop_classes = _models("5.1.4.1.1.201", first=2)


class StorageManagementServiceClass(ServiceClass):
    """Storage Management, PS3.4 Annex KK."""

    sop_classes = _sop_classes(("5.1.4.1.1.201.5", ("N-EVENT-REPORT", "N-ACTION")))
    types = _types(
        ("5.1.4.1.1.201.5", "N-ACTION", actions.INVENTORY),
        ("5.1.4.1.1.201.5", "N-EVENT-REPORT", actions.INVENTORY_EVENTS),
    )
    status_table = "STORAGE_MANAGEMENT_SERVICE_CLASS_STATUS"


SERVICE_CLASSES: tuple[type[ServiceClass], ...] = tuple(
    one
    for one in [*globals().values()]
    if isinstance(one, type) and issubclass(one, ServiceClass) and one is not ServiceClass
)

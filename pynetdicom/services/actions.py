"""The actions and the events of the N-services: type ID → the standard's name.

Nothing here runs; the service classes say which SOP Class has which.
"""

from __future__ import annotations

from typing import Final

Names = dict[int, str]

# PS3.4 Table F.9.2-1
PROCEDURE_STEP_EVENTS: Final[Names] = {
    1: "Performed Procedure Step In Progress",
    2: "Performed Procedure Step Completed",
    3: "Performed Procedure Step Discontinued",
    4: "Performed Procedure Step Updated",
    5: "Performed Procedure Step Deleted",
}

# PS3.4 H.4.1.2.4, H.4.2.2.4, H.4.5.2.1, H.4.6.2.1
PRINT: Final[Names] = {1: "Print"}
PRINT_JOB_EVENTS: Final[Names] = {1: "Pending", 2: "Printing", 3: "Done", 4: "Failure"}
PRINTER_EVENTS: Final[Names] = {1: "Normal", 2: "Warning", 3: "Failure"}

# PS3.4 J.3.2, J.3.3
COMMITMENT: Final[Names] = {1: "Request Storage Commitment"}
COMMITMENT_EVENTS: Final[Names] = {
    1: "Storage Commitment Request Successful",
    2: "Storage Commitment Request Complete - Failures Exist",
}

# PS3.4 P.2.2, V
RECORD_PROCEDURAL_EVENT: Final[Names] = {1: "Record Procedural Event"}
RECORD_SUBSTANCE_ADMINISTRATION: Final[Names] = {1: "Record Substance Administration Event"}

# PS3.4 S.3.2.2
MEDIA_CREATION: Final[Names] = {1: "Initiate Media Creation", 2: "Cancel Media Creation"}

# PS3.4 CC.2.1 to CC.2.4
CHANGE_STATE: Final[Names] = {1: "Change UPS State"}
REQUEST_CANCEL: Final[Names] = {2: "Request UPS Cancel"}
SUBSCRIBE: Final[Names] = {
    3: "Subscribe to Receive UPS Event Reports",
    4: "Unsubscribe from Receiving UPS Event Reports",
    5: "Suspend Global Subscription",
}
UPS_EVENTS: Final[Names] = {
    1: "UPS State Report",
    2: "UPS Cancel Requested",
    3: "UPS Progress Report",
    4: "SCP Status Change",
    5: "UPS Assigned",
}

# PS3.4 Table KK.2-1
INVENTORY: Final[Names] = {
    11: "Initiate Inventory Creation",
    12: "Request Inventory Creation Status",
    13: "Cancel Inventory Creation",
    14: "Pause Inventory Creation",
    15: "Resume Inventory Creation",
}
INVENTORY_EVENTS: Final[Names] = {
    11: "Inventory Creation Terminated with Instances",
    12: "Inventory Creation Status",
    13: "Inventory Creation Terminated without Instances",
}

"""Handlers of the wrong shape for their events: each line that is marked must be complained of."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from pynetdicom import AE, evt

ae = AE()
assoc = ae.associate("127.0.0.1", 11112)


def store(event: evt.CStoreEvent) -> int:
    return 0x0000


def store_with(event: evt.CStoreEvent, directory: str) -> int:
    return 0x0000


def find(event: evt.CFindEvent) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, event.identifier


def gives_text(event: evt.CStoreEvent) -> str:
    return "success"


def gives_nothing(event: evt.CStoreEvent) -> None:
    event.save_as("x.dcm")


def any_gives_text(event: evt.Event) -> str:
    return "success"


def finds_at_once(event: evt.CFindEvent) -> tuple[int, Dataset]:
    return 0xFF00, event.identifier


def finds_nothing(event: evt.CFindEvent) -> None:
    print(event.identifier)


def yields_alone(event: evt.CFindEvent) -> Iterator[Dataset]:
    yield event.identifier


def yields_words(event: evt.CGetEvent) -> Iterator[tuple[str, Dataset]]:
    yield "pending", event.identifier


def moves_nowhere(event: evt.CMoveEvent) -> Iterator[str]:
    yield event.move_destination


def creates(event: evt.NCreateEvent) -> tuple[int, Dataset]:
    return 0x0000, event.attribute_list


def creates_text(event: evt.NCreateEvent) -> tuple[int, str]:
    return 0x0000, "created"


def lets_in(event: evt.UserIDEvent) -> bool:
    return True


def takes_nothing() -> int:
    return 0x0000


def heard(event: evt.PDUEvent) -> None:
    print(event.pdu)


async def later(event: evt.CStoreEvent) -> int:
    return 0x0000


assoc.bind(evt.EVT_C_STORE, gives_text)  # wrong
assoc.bind(evt.EVT_C_STORE, gives_nothing)  # wrong
assoc.bind(evt.EVT_C_STORE, any_gives_text)  # wrong
assoc.bind(evt.EVT_C_STORE, find)  # wrong
assoc.bind(evt.EVT_C_STORE, store_with)  # wrong
assoc.bind(evt.EVT_C_STORE, takes_nothing)  # wrong
assoc.bind(evt.EVT_C_STORE, later)  # wrong
assoc.bind(evt.EVT_C_STORE, creates)  # wrong
assoc.bind(evt.EVT_C_STORE, 17)  # wrong
assoc.bind(evt.EVT_C_STORE, store(assoc))  # wrong
assoc.bind(evt.EVT_C_STORE, store_with, "in")  # wrong
assoc.bind(evt.EVT_C_STORE, gives_text, ["in"])  # wrong
assoc.bind("EVT_C_STORE", store)  # wrong
assoc.bind(evt.EVT_C_ECHO, store)  # wrong
assoc.bind(evt.EVT_C_FIND, store)  # wrong
assoc.bind(evt.EVT_C_FIND, finds_at_once)  # wrong
assoc.bind(evt.EVT_C_FIND, finds_nothing)  # wrong
assoc.bind(evt.EVT_C_FIND, yields_alone)  # wrong
assoc.bind(evt.EVT_C_GET, yields_words)  # wrong
assoc.bind(evt.EVT_C_GET, find)  # wrong
assoc.bind(evt.EVT_C_MOVE, moves_nowhere)  # wrong
assoc.bind(evt.EVT_N_CREATE, creates_text)  # wrong
assoc.bind(evt.EVT_N_SET, creates)  # wrong
assoc.bind(evt.EVT_USER_ID, lets_in)  # wrong
assoc.bind(evt.EVT_DATA_SENT, heard)  # wrong
assoc.bind(evt.EVT_CONN_OPEN, store)  # wrong
assoc.bind(evt.EVT_C_STOR, store)  # wrong

ae.associate("", 104, evt_handlers=[(evt.EVT_C_FIND, 17)])  # wrong
ae.associate("", 104, evt_handlers=[(evt.EVT_C_STORE, gives_text)])  # wrong
ae.associate("", 104, evt_handlers=[(evt.EVT_C_STORE, store_with)])  # wrong
ae.associate("", 104, evt_handlers=[(evt.EVT_C_STORE, store, 3)])  # wrong
ae.associate("", 104, evt_handlers=[(store, evt.EVT_C_STORE)])  # wrong
ae.associate("", 104, evt_handlers=[(evt.EVT_C_STORE,)])  # wrong
ae.associate("", 104, evt_handlers=[("EVT_C_STORE", store)])  # wrong
ae.associate("", 104, evt_handlers=[evt.EVT_C_STORE])  # wrong
ae.associate("", 104, evt_handlers={evt.EVT_C_STORE: store})  # wrong
ae.associate("", 104, evt_handlers=(evt.EVT_C_STORE, store))  # wrong
ae.associate("", 104, evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_C_FIND, 17)])  # wrong
ae.start_server(("", 104), evt_handlers=[(evt.EVT_C_FIND, finds_nothing)])  # wrong
ae.start_server(("", 104), block=False, evt_handlers=[(evt.EVT_N_GET, 17)])  # wrong
ae.make_server(("", 104), evt_handlers=[(evt.EVT_C_STORE, gives_text)])  # wrong

alone = [(evt.EVT_C_STORE, gives_text)]
ae.start_server(("", 104), evt_handlers=alone)  # wrong
annotated: list[evt.EventHandlerType] = [
    (evt.EVT_C_STORE, store),
    (evt.EVT_C_STORE, store_with, ["in"]),
    (evt.EVT_C_FIND, find),
]
annotated.append((evt.EVT_C_STORE, gives_text))  # wrong
annotated.append((evt.EVT_C_FIND, store))  # wrong
annotated += [(evt.EVT_C_FIND, finds_nothing)]  # wrong

# mypy forgets which handler goes with which event of such a list
ae.associate("", 104, evt_handlers=[(evt.EVT_C_FIND, find), (evt.EVT_C_ECHO, any_gives_text)])  # wrong, says pyright

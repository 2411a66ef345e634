"""An SCP with extended negotiation that turns the roles round: it sends to whoever asks for it.

    python examples/negotiation_scp.py 127.0.0.1 11112 ct.dcm

A peer that proposes to be Storage SCP by role selection, and says who it is by user identity, is
sent the files over its own association. One that does not say who it is is rejected. Runs until
Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

USERS = {b"alice": b"correct horse"}


def handle_user_identity(event: evt.UserIDEvent) -> tuple[bool, None]:
    """Say whether a peer is let in, and what is answered to one that asks for an answer.

    It is asked about identities only: `require_user_identity` keeps those out that send none.
    """
    if event.user_id_type != 2:  # user name and passcode
        return False, None
    user, passcode = event.primary_field, event.secondary_field
    return user in USERS and USERS[user] == passcode, None


def handle_extended(event: evt.SOPExtendedEvent) -> dict[str, bytes]:
    """Answer SOP Class extended negotiation: what is not in the dict is not answered."""
    return {uid: information for uid, information in event.app_info.items() if uid != Verification}


def send_files(event: evt.AssociationEvent, paths: list[Path]) -> None:
    """Send the files to a peer that has taken on the role of the SCP."""
    assoc = event.assoc
    if not any(cx.as_scu for cx in assoc.accepted_contexts):
        return
    # In handlers of the Association thread, as this is, requests may be sent and waited for.
    for path in paths:
        try:
            status = assoc.send_c_store(path)
        except ValueError as error:  # not a class or transfer syntax that was agreed on
            print(f"{path}: {error}", file=sys.stderr, flush=True)
            continue
        print(f"{path}: {status.get('Status', assoc.ended)}", flush=True)
    if assoc.is_established:
        assoc.release()


def main() -> int:
    parser = argparse.ArgumentParser(description="Send files to whoever associates.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("file", nargs="*", help="the files to send")
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("ROLE_EXAMPLE")
    ae.require_user_identity = True
    ae.add_supported_context(Verification)
    for context in StoragePresentationContexts:
        # Requestors of these may be SCP as well as SCU, if they propose it.
        ae.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)

    server = ae.start_server(
        (args.host, args.port),
        block=False,
        evt_handlers=[
            (evt.EVT_USER_ID, handle_user_identity),
            (evt.EVT_SOP_EXTENDED, handle_extended),
            (evt.EVT_ESTABLISHED, send_files, [args.file]),
        ],
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

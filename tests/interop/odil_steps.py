"""Performed procedure steps with odil, for an interpreter that has it (Debian: ``python3-odil``).

``python3 odil_steps.py scp PORT`` serves one association and prints what it is asked.
``python3 odil_steps.py scu PORT`` reads steps and changes as JSON, and prints the answers.
"""

from __future__ import annotations

import json
import sys

import odil  # type: ignore[import-not-found]  # another interpreter's

MPPS = "1.2.840.10008.3.1.2.3.3"
SYNTAXES = ["1.2.840.10008.1.2.1"]


def tell(*what):
    print(json.dumps(what), flush=True)


def scp(port):
    association = odil.Association()
    association.set_tcp_timeout(60)

    def create(request):
        uid = request.get_affected_sop_instance_uid()
        tell("N-CREATE", uid, json.loads(odil.as_json(request.get_data_set())))
        return 0x0000

    def change(request):
        uid = request.get_requested_sop_instance_uid()
        data_set = json.loads(odil.as_json(request.get_data_set()))
        tell("N-SET", uid, data_set)
        return 0x0110 if "00100010" in data_set else 0x0000

    association.receive_association("v4", port)
    creates, changes = odil.NCreateSCP(association), odil.NSetSCP(association)
    creates.set_callback(create)
    changes.set_callback(change)
    dispatcher = odil.SCPDispatcher(association)
    dispatcher.set_ncreate_scp(creates)
    dispatcher.set_nset_scp(changes)
    try:
        while True:
            dispatcher.dispatch()
    except odil.AssociationReleased:
        tell("released")


def scu(port):
    association = odil.Association()
    association.set_peer_host("127.0.0.1")
    association.set_peer_port(port)
    association.set_tcp_timeout(60)
    context = odil.AssociationParameters.PresentationContext
    parameters = association.update_parameters()
    parameters.set_calling_ae_title("ODIL").set_called_ae_title("RIS")
    parameters.set_presentation_contexts([context(MPPS, SYNTAXES, context.Role.SCU)])
    association.associate()
    for name, uid, given in json.load(sys.stdin):
        number = association.next_message_id()
        data_set = odil.from_json(json.dumps(given))
        if name == "create":
            request = odil.messages.NCreateRequest(number, MPPS, data_set)
            request.set_affected_sop_instance_uid(uid)
        else:
            request = odil.messages.NSetRequest(number, MPPS, uid, data_set)
        association.send_message(request, MPPS)
        command = association.receive_message().get_command_set()
        tell(name, number, json.loads(odil.as_json(command)))
    association.release()
    tell("released")


if __name__ == "__main__":
    (scp if sys.argv[1] == "scp" else scu)(int(sys.argv[2]))

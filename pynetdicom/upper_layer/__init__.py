"""The upper layer (PS3.8) without sockets and threads: PDUs, state machine, negotiation."""

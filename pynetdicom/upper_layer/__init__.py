"""The upper layer (PS3.8): PDUs, state machine, negotiation, and the transport below."""

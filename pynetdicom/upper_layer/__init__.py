"""The DICOM upper layer (PS3.8): PDUs, the state machine, association negotiation, and the transport below."""

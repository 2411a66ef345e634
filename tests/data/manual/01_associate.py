from pynetdicom3 import AE
from pynetdicom3.sop_class import VerificationSOPClass

ae = AE()
ae.add_requested_context(VerificationSOPClass)

# Associate with the peer at IP address 127.0.0.1 and port 11112
assoc = ae.associate('127.0.0.1', 11112)

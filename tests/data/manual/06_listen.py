from pynetdicom3 import AE
from pynetdicom3.sop_class import VerificationSOPClass

ae = AE(port=11112)
ae.add_supported_context(VerificationSOPClass)

# Listen for association requests
ae.start()

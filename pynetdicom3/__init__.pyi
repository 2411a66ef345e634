# Its AE is another one than the library's: the first import of a name counts for type checkers.
# isort: off
from pynetdicom3.applicationentity import AE as AE
from pynetdicom import *  # type: ignore[assignment]  # of AE, see above

# isort: on
from pynetdicom.sop_class import SOPClass

QueryRetrieveSOPClassList: list[SOPClass]
StorageSOPClassList: list[SOPClass]
VerificationSOPClass: SOPClass
pynetdicom_implementation_uid: str
pynetdicom_uid_prefix: str
pynetdicom_version: str

from pynetdicom import *
from pynetdicom.sop_class import SOPClass
from pynetdicom3.applicationentity import ApplicationEntity

class AE(ApplicationEntity): ...  # type: ignore[no-redef]  # other than the library's own

QueryRetrieveSOPClassList: list[SOPClass]
StorageSOPClassList: list[SOPClass]
VerificationSOPClass: SOPClass
pynetdicom_implementation_uid: str
pynetdicom_uid_prefix: str
pynetdicom_version: str

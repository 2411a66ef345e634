from pynetdicom.status import *

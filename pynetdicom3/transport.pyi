from pynetdicom.transport import *

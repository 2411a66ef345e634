from pynetdicom.dsutils import *

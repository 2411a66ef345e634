from pynetdicom.sop_class import *

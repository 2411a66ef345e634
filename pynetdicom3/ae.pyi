from pynetdicom.ae import *

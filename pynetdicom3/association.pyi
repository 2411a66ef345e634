from pynetdicom.association import *

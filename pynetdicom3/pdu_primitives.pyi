from pynetdicom.pdu_primitives import *

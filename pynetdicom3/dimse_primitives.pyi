from pynetdicom.dimse_primitives import *

from pynetdicom.utils import *

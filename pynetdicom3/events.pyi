from pynetdicom.events import *

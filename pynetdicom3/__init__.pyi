from pynetdicom import *

from pynetdicom.presentation import *

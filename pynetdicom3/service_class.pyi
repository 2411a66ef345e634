from pynetdicom.service_class import *

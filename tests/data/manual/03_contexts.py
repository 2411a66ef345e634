from pynetdicom3 import AE, build_context

ae = AE()
requested_contexts = [build_context('1.2.840.10008.1.1')]
assoc = ae.associate('127.0.0.1', 11112, contexts=requested_contexts)

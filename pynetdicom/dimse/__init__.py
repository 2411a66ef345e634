"""DIMSE (PS3.7): command sets, operations, messages and the data sets that travel with them."""

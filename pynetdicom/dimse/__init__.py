"""DIMSE (PS3.7): command sets, operations and messages."""

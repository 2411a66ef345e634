"""Whole workflows of PS3.4, made of the N-services: what both sides do, by the standard's tables.

Of each there is a helper for the SCU, and an SCP that asks the application only for what it has to
decide. What an SCP has to remember is in a store, see `stores`.
"""

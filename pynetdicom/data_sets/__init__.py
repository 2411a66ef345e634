"""Encoded data sets (PS3.5, PS3.10): where they are, what is in them, and changing it."""

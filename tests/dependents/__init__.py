"""Packages that depend on pynetdicom, doing their work through this one: ``make dependents``."""

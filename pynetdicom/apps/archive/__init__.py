"""The archive behind qrscp: an index in a database, objects in files or in a cloud store.

In: objects that were received, identifiers of queries. Out: statuses, matches, and where the
objects are. Nothing else of the package imports it, so that nothing else needs SQLAlchemy.
"""

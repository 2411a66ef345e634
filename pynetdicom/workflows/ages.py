"""How old records are, so that what nobody asks for any more is forgotten after some time.

By the clock of the machine, as records outlive processes. There is no thread: whoever notes a
record is told which others are too old.
"""

from __future__ import annotations

import time

from pynetdicom.workflows.stores import Records

_LOOKS = 16
"""So often in the time that records are kept it is looked for old ones."""


class Ages:
    """When records of a kind came to be.

    Parameters
    ----------
    kind : str
        Of the records.
    keep : float or None
        Seconds for which they are kept; None for ever.
    """

    def __init__(self, kind: str, keep: float | None) -> None:
        self._kind = f"{kind} since"
        self._keep = keep
        self._looked = float("-inf")

    def note(self, records: Records, key: str) -> None:
        """Say that a record is new."""
        # Also where all are kept for ever: the next process may keep them for less.
        records.put(self._kind, key, b"%d" % time.time())

    def forget(self, records: Records, key: str) -> None:
        """Say that there is none any more."""
        records.delete(self._kind, key)

    def old(self, records: Records) -> list[str]:
        """Give the keys of those that are too old, now and then; they are forgotten here."""
        if self._keep is None or time.monotonic() < self._looked + self._keep / _LOOKS:
            return []
        self._looked = time.monotonic()
        oldest = time.time() - self._keep
        keys = [key for key, since in records.items(self._kind) if int(since) <= oldest]
        for key in keys:
            self.forget(records, key)
        return keys

"""Transactions of storage commitment that are open, in a store.

What was asked for is kept, and then the result in its place, until that has been heard.
A head tells how far a transaction is, and which provider sees to it; what was said is beside it, in
parts of its encoded data set. Of the providers that share a store one at a time has a transaction,
for a while: when that is over, or its process is known to be no more, another one takes it.
"""

from __future__ import annotations

import json
import os
import time
from typing import NamedTuple

from pynetdicom.data_sets.data_set import EncodedDataSet
from pynetdicom.data_sets.descriptor import POSIX
from pynetdicom.data_sets.provisional import born, is_alive, this_host
from pynetdicom.data_sets.read_buffers import CHUNK
from pynetdicom.data_sets.spool import Place, Spool
from pynetdicom.workflows.stores import Records, Store

KIND = "commitment"
PARTS = "commitment-part"

LEASE = 600.0
"""Seconds that a provider has a transaction beyond when it has to do something about it."""

_own: set[str] = set()
"""The providers of this process. A set's own operations are atomic."""


class Head(NamedTuple):
    """How far a transaction is."""

    ae_title: str
    """Who has asked."""
    transfer_syntax: str
    parts: int
    event_type: int = 0
    """Of the result; 0 before there is one, when the parts are those of the request."""
    attempts: int = 0
    """How often it was tried in vain to report the result."""
    owner: str = ""
    until: float = 0.0
    """For how long it is the owner's, as seconds since 1970: another process has to know."""


class Transactions:
    """What a provider has to see to; for any thread.

    Parameters
    ----------
    store : Store
    directory : str, optional
        Where files go; see `AE.spool_dir`.
    """

    def __init__(self, store: Store, directory: str | None = None) -> None:
        self._store = store
        self._directory = directory
        pid = os.getpid()
        self._owner = f"{this_host()}/{pid}/{born(pid)}/{os.urandom(6).hex()}"
        _own.add(self._owner)

    def close(self) -> None:
        """Leave what is open to others."""
        if self._owner not in _own:
            return  # it did so before
        _own.discard(self._owner)
        with self._store.begin() as records:
            for key, record in records.items(KIND):
                head = _head(record)
                if head.owner == self._owner:
                    _put(records, key, head._replace(owner="", until=0.0))

    @property
    def uids(self) -> list[str]:
        """The Transaction UIDs of all, also of those that others see to."""
        with self._store.begin() as records:
            return [key for key, _ in records.items(KIND)]

    def open(self, uid: str, ae_title: str, request: EncodedDataSet) -> bool:
        """Keep a request; False if its Transaction UID is in use."""
        with self._store.begin() as records:
            if records.get(KIND, uid) is not None:
                return False
            self._keep(records, uid, Head(ae_title, "", 0), request)
            return True

    def claim(self, uid: str) -> Head | float | None:
        """Have a transaction for oneself.

        Returns
        -------
        Head, float or None
            The seconds after which to try again if another provider has it; None if it is no more.
        """
        with self._store.begin() as records:
            record = records.get(KIND, uid)
            if record is None:
                return None
            head = _head(record)
            left = head.until - time.time()
            if head.owner != self._owner and left > 0 and _may_live(head.owner):
                return left
            if head.owner == self._owner and left > LEASE / 2:
                return head
            return self._claimed(records, uid, head, 0.0)

    def renew(self, uid: str, head: Head, delay: float = 0.0, *, attempts: int = 0) -> Head:
        """Have it for longer: for so many seconds, after so many more attempts."""
        with self._store.begin() as records:
            head = head._replace(attempts=head.attempts + attempts)
            return self._claimed(records, uid, head, delay)

    def read(self, uid: str, head: Head) -> EncodedDataSet:
        """Give the request, or the result."""
        spool = Spool(Place(head.transfer_syntax, self._directory, CHUNK), b"")
        for number in range(head.parts):
            with self._store.begin() as records:
                spool.add(memoryview(records.get(PARTS, f"{uid}/{number}") or b""))
            spool.flush()
            if spool.error is not None:
                raise spool.error
        return spool.finish()

    def decide(self, uid: str, head: Head, event_type: int, result: EncodedDataSet) -> Head:
        """Keep the result in the place of the request."""
        with self._store.begin() as records:
            _remove_parts(records, uid, head)
            return self._keep(records, uid, head._replace(event_type=event_type), result)

    def remove(self, uid: str, head: Head) -> None:
        """Be done with it."""
        with self._store.begin() as records:
            _remove_parts(records, uid, head)
            records.delete(KIND, uid)

    def _keep(self, records: Records, uid: str, head: Head, data_set: EncodedDataSet) -> Head:
        count = 0
        for count, part in enumerate(data_set.parts(), 1):
            records.put(PARTS, f"{uid}/{count - 1}", bytes(part))
        head = head._replace(transfer_syntax=data_set.transfer_syntax, parts=count)
        return self._claimed(records, uid, head, 0.0)

    def _claimed(self, records: Records, uid: str, head: Head, delay: float) -> Head:
        head = head._replace(owner=self._owner, until=time.time() + delay + LEASE)
        _put(records, uid, head)
        return head


def _may_live(owner: str) -> bool:
    """Whether a provider may be there still; of those of other hosts that is not known."""
    host, pid, begun, *_ = (*owner.split("/"), "", "")
    if host != this_host() or not pid.isdecimal():
        return bool(owner)
    if int(pid) == os.getpid():
        return owner in _own
    return not POSIX or (is_alive(int(pid)) and born(int(pid)) == begun)


def _head(record: bytes) -> Head:
    return Head(**json.loads(record))


def _put(records: Records, uid: str, head: Head) -> None:
    records.put(KIND, uid, json.dumps(head._asdict()).encode())


def _remove_parts(records: Records, uid: str, head: Head) -> None:
    for number in range(head.parts):
        records.delete(PARTS, f"{uid}/{number}")

"""Who is told of procedure steps (PS3.4 CC.2.3): subscriptions, as records of the store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from pynetdicom.sop_class import (
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
)
from pynetdicom.workflows.conditions import Conditions
from pynetdicom.workflows.identifiers import IdentifierError, elements
from pynetdicom.workflows.providing import Answer, answer, merged, pack, unpack
from pynetdicom.workflows.reporting import Outbox, encode
from pynetdicom.workflows.stores import Records, Store
from pynetdicom.workflows.ups_rules import (
    NO_SUCH_STEP,
    REPORTED,
    SUBSCRIBE,
    SUSPEND,
    UNSUBSCRIBE,
    Rejected,
    Step,
    state_report,
    value,
)

ALL = str(UPSGlobalSubscriptionInstance)
FILTERED = str(UPSFilteredGlobalSubscriptionInstance)

STAY, ADD, END = "stay", "add", "end"

GLOBAL = {
    # Table CC.2.3-2: action and deletion lock, for the well-known instances: the AE's global
    # subscription afterwards (None: none; else its lock), and what becomes of those to present
    # steps. Each state before has the same.
    (SUBSCRIBE, True): (True, ADD),
    (SUBSCRIBE, False): (False, STAY),
    (UNSUBSCRIBE, None): (None, END),
    (SUSPEND, None): (None, STAY),  # no new ones: as if it had none
}

STEPS = "ups steps"
"""The kind of the records of steps."""

_OF_STEP, _GLOBALLY = "ups subscribers", "ups global"


class Subscription(NamedTuple):
    """A global subscription."""

    lock: bool
    keys: Dataset | None
    """Of those steps only that match them."""
    conditions: Conditions | None
    """The same, ready to be asked."""

    @classmethod
    def of(cls, lock: bool, keys: Dataset | None) -> Subscription:
        """Make one."""
        return cls(lock, keys, None if keys is None else Conditions(keys))

    def wants(self, before: Step | None, after: Step) -> bool:
        """Whether a step is one to subscribe to now: a new one, or one that matches only now."""
        if self.conditions is None:
            return before is None
        if not self.conditions.match(after.attributes):
            return False
        return before is None or not self.conditions.match(before.attributes)


class Subscriptions:
    """The subscriptions in the records of a store, while these are open."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def _read(self, kind: str, key: str, otherwise: Any) -> Any:
        record = self._records.get(kind, key)
        return otherwise if record is None else json.loads(record)

    def _write(self, kind: str, key: str, value: Any) -> None:
        self._records.put(kind, key, json.dumps(value).encode())

    def of(self, uid: str) -> dict[str, bool]:
        """Who is subscribed to a step: AE title → deletion lock."""
        subscribers: dict[str, bool] = self._read(_OF_STEP, uid, {})
        return subscribers

    def add(self, uid: str, before: Step | None, after: Step) -> list[str]:
        """Subscribe to a step, as it is now, who wants it only now; give their AE titles."""
        subscribers = self.of(uid)
        new = {
            ae_title: wanted.lock
            for ae_title, wanted in self.globally().items()
            if ae_title not in subscribers and wanted.wants(before, after)
        }
        if new:
            self._write(_OF_STEP, uid, {**subscribers, **new})
        return list(new)

    def subscribe(self, ae_title: str, uid: str, lock: bool) -> None:
        """Subscribe to a step."""
        self._write(_OF_STEP, uid, {**self.of(uid), ae_title: lock})

    def unsubscribe(self, ae_title: str, uid: str) -> None:
        """End a subscription to a step."""
        left = {title: lock for title, lock in self.of(uid).items() if title != ae_title}
        if left:
            self._write(_OF_STEP, uid, left)
        else:
            self.forget(uid)

    def forget(self, uid: str) -> None:
        """End all subscriptions to a step, which is gone."""
        self._records.delete(_OF_STEP, uid)

    def globally(self) -> dict[str, Subscription]:
        """Who is subscribed to all steps, or to those that match."""
        return {ae: _subscription(record) for ae, record in self._records.items(_GLOBALLY)}

    def change(self, wanted: Wish, present: Iterable[str], *, grants: bool) -> None:
        """Change the global subscription of an AE; `present` are the steps there are to add."""
        lock, become = GLOBAL[wanted.action, wanted.lock]
        if lock is None:
            self._records.delete(_GLOBALLY, wanted.ae_title)
        else:
            packed = None if wanted.keys is None else pack(wanted.keys).hex()
            self._write(_GLOBALLY, wanted.ae_title, [lock and grants, packed])
        if become == ADD:
            for uid in present:
                self.subscribe(wanted.ae_title, uid, bool(lock and grants))
        elif become == END:
            for uid, record in self._records.items(_OF_STEP):
                if wanted.ae_title in json.loads(record):
                    self.unsubscribe(wanted.ae_title, uid)

    def receivers(self) -> set[str]:
        """Everybody who is subscribed to anything."""
        subscribed = {ae for ae, _ in self._records.items(_GLOBALLY)}
        return subscribed.union(*(json.loads(one) for _, one in self._records.items(_OF_STEP)))


@lru_cache(1024)  # asked for with each change
def _subscription(record: bytes) -> Subscription:
    lock, keys = json.loads(record)
    return Subscription.of(lock, None if keys is None else unpack(bytes.fromhex(keys)))


class Wish(NamedTuple):
    """An action of a subscriber (CC.2.3.1)."""

    action: int
    uid: str
    """The step, or a well-known instance."""
    ae_title: str
    """The receiving AE."""
    lock: bool | None = None
    """Of a subscription."""
    keys: Dataset | None = None
    """Of a filtered one."""

    @property
    def is_global(self) -> bool:
        """Whether it is about all steps, or all that match."""
        return self.uid in (ALL, FILTERED)


def wish(action: int, uid: str, information: Dataset) -> Wish:
    """Read a request.

    Raises
    ------
    Rejected, AttributeError
        See `value`.
    """
    ae_title = value(information, "ReceivingAE")
    if action != SUBSCRIBE:
        if action == SUSPEND and uid not in (ALL, FILTERED):
            raise Rejected(answer(0xC314))
        return Wish(action, uid, ae_title)
    lock = value(information, "DeletionLock", "TRUE", "FALSE") == "TRUE"
    if uid != FILTERED:
        return Wish(action, uid, ae_title, lock)
    keys = merged(information, Dataset())
    del keys.ReceivingAE, keys.DeletionLock
    if all(element.keyword == "SpecificCharacterSet" for element in keys):
        raise Rejected(answer(0x0115, comment="no keys to filter by"))
    try:
        list(elements(keys))  # each of which has to convert
    except IdentifierError as error:
        raise Rejected(answer(0x0115, comment=str(error))) from error
    return Wish(action, uid, ae_title, lock, keys)


def fulfil(store: Store, limit: int, wanted: Wish, *, grants: bool) -> tuple[Answer, set[str]]:
    """Do what a subscriber wants.

    Parameters
    ----------
    store : Store
    limit : int
        See `Outbox`.
    wanted : Wish
    grants : bool
        Whether subscribers get the locks that they ask for.

    Returns
    -------
    tuple
        The answer, and the AEs for which there are new events.
    """
    seen: dict[str, _Seen] = {}
    adds = wanted.is_global and GLOBAL[wanted.action, wanted.lock][1] == ADD
    if adds:
        with store.begin() as records:
            kept = records.items(STEPS)
        seen = _look(kept, wanted, seen)
    with store.begin() as records:
        subscriptions, outbox = Subscriptions(records), Outbox(records, limit)
        if wanted.is_global:
            # Only what has changed since is looked at again: nobody is held up for long.
            seen = _look(records.items(STEPS), wanted, seen) if adds else {}
            present = {uid: event for uid, (_, event) in seen.items() if event is not None}
            subscriptions.change(wanted, present, grants=grants)
        else:
            record = records.get(STEPS, wanted.uid)
            if record is None:
                return answer(NO_SUCH_STEP), set()
            present = {}
            if wanted.action == SUBSCRIBE:
                present = {wanted.uid: encode(wanted.uid, state_report(Step.decode(record)))}
                subscriptions.subscribe(wanted.ae_title, wanted.uid, bool(wanted.lock and grants))
            else:
                subscriptions.unsubscribe(wanted.ae_title, wanted.uid)
        for event in present.values():
            outbox.put(wanted.ae_title, event)
    return answer(0xB301 if wanted.lock and not grants else 0x0000), outbox.woken


_Seen = tuple[bytes, bytes | None]
"""The record of a step, and what is reported of it, if it is one that is wanted."""


def _look(
    kept: Iterable[tuple[str, bytes]], wanted: Wish, seen: dict[str, _Seen]
) -> dict[str, _Seen]:
    """Look at the steps that have changed since they were seen."""
    conditions = None if wanted.keys is None else Conditions(wanted.keys)
    looked_at: dict[str, _Seen] = {}
    for uid, record in kept:
        if uid in seen and seen[uid][0] == record:
            looked_at[uid] = seen[uid]
            continue
        step = Step.glance(record)
        event = None
        if conditions is None or conditions.match(step):
            event = encode(uid, state_report(Step(step.part(REPORTED))))
        looked_at[uid] = record, event
    return looked_at

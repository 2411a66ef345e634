"""Who may do what: the access rules of a listener, as values.

In: a peer's address, then its AE titles and its certificate, then its operations. Out: what the
rule that it comes under allows it, or why it is refused. Nothing here waits, sends or logs: the
lobby asks for connections and association requests, the association for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from pynetdicom import access_patterns as patterns
from pynetdicom.access_patterns import Address, Certificate, Network, address_of
from pynetdicom.access_roles import GROUPS, ROLES, role_of, roles
from pynetdicom.services import classes, registry

__all__ = ["GROUPS", "ROLES", "AccessRules", "Granted", "Limits", "Refused", "Rule"]

# What a peer must be for a rule to be its own, in the order in which it is looked at, and the
# rejection when all rules that have got so far are for others (PS3.8 9.3.4).
_REASONS = {"address": 1, "calling AE title": 3, "called AE title": 7, "certificate": 1}
_CONDITIONS = tuple(_REASONS)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much there may be; None for what is said elsewhere, or for any number.

    Attributes
    ----------
    associations : int
        At a time: of the listener, or of all whom a rule is for.
    associations_per_peer : int
        At a time, from one address.
    pdu_length : int
        The longest P-DATA-TF that is taken, 0 for no limit.
    command_set_bytes : int
        The longest command set.
    object_bytes : int
        The longest data set; a longer one is answered with 0xA700.
    query_seconds : float
        What a C-FIND may take, from when its handler is called.
    matches : int
        Of a C-FIND. What is beyond these two is answered with 0xA700; matches that were sent stay
        sent.
    """

    associations: int | None = None
    associations_per_peer: int | None = None
    pdu_length: int | None = None
    command_set_bytes: int | None = None
    object_bytes: int | None = None
    query_seconds: float | None = None
    matches: int | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            kinds = (int, float) if one.name == "query_seconds" else (int,)
            _check_number(one.name, getattr(self, one.name), kinds, one.name != "pdu_length")

    def within(self, other: Limits) -> Limits:
        """Give the tighter one of each."""
        names = [one.name for one in fields(self)]
        return Limits(
            **{name: tighter(getattr(self, name), getattr(other, name)) for name in names}
        )


T = TypeVar("T", int, float)


def tighter(one: T | None, other: T | None) -> T | None:
    """Give the tighter of two limits; None and 0 are none, of which 0 is the one that is said."""
    return min(one, other) if one and other else one or other or (one if other is None else other)


def _check_number(
    name: str, value: float | None, kinds: tuple[type, ...], is_positive: bool
) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(f"{name!r} must be {kinds[-1].__name__} or None")
    if not value >= 0 or (is_positive and not value):
        raise ValueError(f"{name!r} must be {'more than' if is_positive else 'at least'} 0")


@dataclass(frozen=True)
class Rule:
    """Whom a rule is for, and what they may do.

    What is None is not looked at; of the others, each must be so. Titles may have ``*`` and ``?``.

    Parameters
    ----------
    name : str
        For the log.
    calling, called : sequence of str, optional
        AE titles.
    networks : sequence of str, optional
        Such as ``"10.1.0.0/16"``, ``"fd00::/8"``, ``"10.1.2.3"``, and ``"loopback"`` for this
        machine. An IPv4 address in an IPv6 one is the IPv4 address.
    certificate : sequence of str, optional
        What the peer's certificate must be for, which has to be verified: ``"dicom:TITLE"`` or
        ``"dns:NAME"`` among its alternative names, ``"dicom:{calling}"`` if that is to be the
        calling AE title, or a subject as RFC 4514 has it, ``"CN=ct1,*"``. A ``*`` between commas is
        any number of parts of the name.
    may : collection of str
        Some of `ROLES` and `GROUPS`. Nothing: no association at all.
    destinations : sequence of str, optional
        The AE titles that a C-MOVE may name.
    limits : Limits

    Raises
    ------
    TypeError, ValueError
        Something in it is none.
    """

    name: str
    _: KW_ONLY
    calling: Sequence[str] | None = None
    called: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    certificate: Sequence[str] | None = None
    may: Collection[str] = GROUPS["all"]
    destinations: Sequence[str] | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ValueError("'name' must be a text of a line that is not empty")
        if not isinstance(self.limits, Limits):
            raise TypeError("'limits' must be Limits")
        for name, check in _LISTS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _checked(name, value, check))
        object.__setattr__(self, "may", roles(self.may))

    @cached_property
    def _networks(self) -> tuple[Network, ...] | None:
        return None if self.networks is None else patterns.networks(self.networks)

    @cached_property
    def _calling(self) -> patterns.Matches | None:
        return None if self.calling is None else patterns.any_glob(self.calling)

    @cached_property
    def _called(self) -> patterns.Matches | None:
        return None if self.called is None else patterns.any_glob(self.called)

    @cached_property
    def _certificate(self) -> Callable[[Certificate, str], bool] | None:
        return None if self.certificate is None else patterns.any_certificate(self.certificate)

    @cached_property
    def _destinations(self) -> patterns.Matches | None:
        return None if self.destinations is None else patterns.any_glob(self.destinations)

    @property
    def _is_for_all_there(self) -> bool:
        """Whether nothing but the address is looked at."""
        return self.calling is self.called is self.certificate is None

    def _is_from(self, address: Address | None) -> bool:
        networks = self._networks
        return networks is None or any(address in one for one in networks if address is not None)

    def _fulfilled(
        self, address: Address | None, calling: str, called: str, certificate: Certificate
    ) -> int:
        """How many of the conditions are fulfilled, before the first that is not."""
        if not self._is_from(address):
            return 0
        if self._calling is not None and not self._calling(calling):
            return 1
        if self._called is not None and not self._called(called):
            return 2
        if self._certificate is not None and not self._certificate(certificate, calling):
            return 3
        return 4


_LISTS: dict[str, Callable[[str], object]] = {
    "calling": patterns.title,
    "called": patterns.title,
    "networks": patterns.network,
    "certificate": patterns.certificate,
    "destinations": patterns.title,
}


def _checked(name: str, value: Any, check: Callable[[str], object]) -> tuple[str, ...]:
    """A list of patterns, each of which is one."""
    found = (value,) if isinstance(value, str) else tuple(value)
    if not found:
        raise ValueError(f"{name!r} must have one at least, or be None")
    for one in found:
        if not isinstance(one, str):
            raise TypeError(f"{name!r} must be a sequence of str")
        check(one)
    return found


class Refused(NamedTuple):
    """An association that is not let in, and what its rejection says (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int
    why: str


class Granted:
    """What an association may do; for any thread.

    Attributes
    ----------
    rule : str
        By which rule.
    address : str
        The peer's.
    limits : Limits
        Of the rule and the listener together.
    """

    def __init__(self, rule: Rule, address: str, limits: Limits) -> None:
        self.rule = rule.name
        self.address = address
        self.limits = rule.limits.within(limits)
        self._own = rule.limits
        self._outer = limits
        self._roles = frozenset(rule.may)
        self._destinations = rule._destinations
        # (SOP Class, operation) → whether that may be. A dict's own operations are atomic.
        self._known: dict[tuple[str, str], bool] = {}

    def pdu_length(self, otherwise: int) -> int:
        """The longest P-DATA-TF, where the AE would take one that long; 0 for no limit."""
        return tighter(self.limits.pdu_length, otherwise) or 0

    def object_bytes(self, otherwise: int | None) -> int | None:
        """The longest data set, where the AE would take one that long."""
        return tighter(self.limits.object_bytes, otherwise)

    def may(self, sop_class: str, operation: str) -> bool:
        """Whether the peer may have an operation of a SOP Class performed."""
        key = (sop_class, operation)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = role_of(sop_class, operation) in self._roles
        return known

    def may_have(self, sop_class: str, is_scp: bool) -> bool:
        """Whether a presentation context is of any use to the peer, who is its SCP as well or not.

        One that may retrieve by C-GET is SCP of what it is sent.
        """
        operations = registry.operations(sop_class) or classes.STORE
        if is_scp and "get" in self._roles and "C-STORE" in operations:
            return True
        return any(self.may(sop_class, operation) for operation in operations)

    def refusal(self, sop_class: str, operation: str, destination: str | None = None) -> str:
        """Say why a request is refused; nothing if it is not.

        Parameters
        ----------
        sop_class, operation : str
        destination : str, optional
            The Move Destination of a C-MOVE.
        """
        known = self._known.get((sop_class, operation))
        if not (self.may(sop_class, operation) if known is None else known):
            return f"not authorized: {operation}"
        destinations = self._destinations
        if destinations is None or destination is None or destinations(destination.strip()):
            return ""
        return "not authorized: a C-MOVE to that destination"

    def too_many(self, others: Callable[[], Iterable[Granted | None]]) -> str:
        """Say which number of associations would be exceeded; nothing if none would.

        Parameters
        ----------
        others : callable
            Gives what the associations of the listener have been granted.
        """
        for limits, of_rule in ((self._own, True), (self._outer, False)):
            if limits.associations is limits.associations_per_peer is None:
                continue
            counted = [one for one in others() if not of_rule or (one and one.rule == self.rule)]
            most = limits.associations
            if most is not None and len(counted) >= most:
                return f"{most} associations at a time"
            most = limits.associations_per_peer
            here = sum(one is not None and one.address == self.address for one in counted)
            if most is not None and here >= most:
                return f"{most} associations at a time from one address"
        return ""


@dataclass(frozen=True)
class AccessRules:
    """The rules of a listener; the first that a peer comes under counts.

    Parameters
    ----------
    rules : sequence of Rule
    otherwise : collection of str
        What those may do whom no rule is for: some of `ROLES` and `GROUPS`. Nothing: they are
        rejected, and where no rule can be for an address, the connection is closed unread.
    limits : Limits
        Of the listener; a rule's own are beside these, the tighter counts.
    unassociated : int, optional
        How many connections there may be that have not associated yet; default
        `_config.MAXIMUM_LOBBY`.
    unassociated_per_address : int, optional
        How many of them from one address. Beyond these two, the one that was silent longest is
        closed.

    Raises
    ------
    TypeError, ValueError
        Something in it is none, or two rules have one name.
    """

    rules: Sequence[Rule]
    _: KW_ONLY
    otherwise: Collection[str] = ()
    limits: Limits = Limits()
    unassociated: int | None = None
    unassociated_per_address: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "otherwise", roles(self.otherwise))
        if not all(isinstance(rule, Rule) for rule in self.rules):
            raise TypeError("'rules' must be a sequence of Rule")
        if not isinstance(self.limits, Limits):
            raise TypeError("'limits' must be Limits")
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"there are two rules of the name {name!r}")
        for name in ("unassociated", "unassociated_per_address"):
            _check_number(name, getattr(self, name), (int,), is_positive=True)

    @cached_property
    def _last(self) -> Rule:
        """The rule for all others."""
        return Rule("otherwise", may=self.otherwise)

    def closed_to(self, address: str) -> str:
        """Say why a connection from there is closed unread; nothing if a rule may let it in."""
        where = address_of(address)
        for rule in self.rules:
            if rule._is_from(where):
                closes = not rule.may and rule._is_for_all_there
                return f"the access rule {rule.name} lets nobody in" if closes else ""
        return "" if self.otherwise else "no access rule is for that address"

    def decide(
        self,
        address: str,
        calling: str,
        called: str,
        certificate: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> Granted | Refused:
        """Find the rule for an association request.

        Parameters
        ----------
        address, calling, called : str
        certificate : callable
            Gives the peer's certificate as `ssl.SSLSocket.getpeercert` does, if it was verified.
            It is not asked where no rule looks at it.
        """
        where, known, fulfilled = address_of(address), Certificate(), 0
        if any(rule.certificate for rule in self.rules):
            known = Certificate.of(certificate() or {})
        for rule in self.rules:
            fulfilled = max(fulfilled, rule._fulfilled(where, calling, called, known))
            if fulfilled == len(_CONDITIONS):
                if rule.may:
                    return Granted(rule, address, self.limits)
                return Refused(1, 1, 1, f"the access rule {rule.name} lets nobody in")
        if self.otherwise:
            return Granted(self._last, address, self.limits)
        condition = _CONDITIONS[fulfilled]
        return Refused(1, 1, _REASONS[condition], f"no access rule is for that {condition}")

"""The service primitives of the upper layer (PS3.8 7), made from PDUs by ``from_pdu``.

Programs import them from `pynetdicom.pdu_primitives`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

from pynetdicom.uids import checked
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.acse import contexts_of, results_of
from pynetdicom.upper_layer.contexts import PresentationContext
from pynetdicom.upper_layer.fields import UnknownItem
from pynetdicom.upper_layer.items import (
    USER_INFORMATION,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

Check = Callable[[Any, str], Any]


def _one_of(*allowed: Any) -> Check:
    def check(value: Any, name: str) -> Any:
        if value is not None and value not in allowed:
            raise ValueError(f"{name!r} must be one of {allowed}, not {value!r}")
        return value

    return check


def _list_of(*kinds: type) -> Check:
    def check(value: Any, name: str) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"{name!r} must be a list")
        for one in value:
            if not isinstance(one, kinds):
                raise TypeError(f"{name!r}: {one!r} does not belong there")
        return list(value)

    return check


def _uid(value: Any, name: str) -> Any:
    return None if value is None else checked("UI", value, name)


def _address(value: Any, name: str) -> Any:
    if value is not None and not (hasattr(value, "address") and hasattr(value, "port")):
        raise TypeError(f"{name!r} must be an AddressInformation or None")
    return value


class _Primitive:
    """Parameters with a default and a check each."""

    _parameters: ClassVar[dict[str, tuple[Any, Check]]] = {}

    def __init__(self, **values: Any) -> None:
        for name, (default, _) in self._parameters.items():
            vars(self)[name] = list(default) if isinstance(default, list) else default
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._parameters:
            raise AttributeError(f"{type(self).__name__} has no parameter {name!r}")
        vars(self)[name] = self._parameters[name][1](value, name)

    @classmethod
    def _received(cls, **values: Any) -> Self:
        """Return one with values that are as a peer sent them, unchecked."""
        self = cls()
        vars(self).update(values)
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value)
        return f"{type(self).__name__}({said})"


_RESULTS = {0: "Accepted", 1: "Rejected Permanent", 2: "Rejected Transient"}
_SOURCES = {1: "Service User", 2: "Service Provider (ACSE)", 3: "Service Provider (Presentation)"}
# PS3.8 Table 9-21: (source, reason)
_REASONS = {
    (1, 1): "No reason given",
    (1, 2): "Application context name not supported",
    (1, 3): "Calling AE title not recognised",
    (1, 7): "Called AE title not recognised",
    (2, 1): "No reason given",
    (2, 2): "Protocol version not supported",
    (3, 1): "Temporary congestion",
    (3, 2): "Local limit exceeded",
}
_NOTHING = "(no value available)"


class A_ASSOCIATE(_Primitive):
    """A-ASSOCIATE request, indication, response or confirmation (PS3.8 7.1)."""

    application_context_name: str | None
    calling_ae_title: str
    called_ae_title: str
    user_information: list[Any]
    result: int | None
    result_source: int | None
    diagnostic: int | None
    calling_presentation_address: Any
    called_presentation_address: Any
    presentation_context_definition_list: list[PresentationContext]
    presentation_context_definition_results_list: list[PresentationContext]
    # The same in each (PS3.8 7.1.1).
    presentation_requirements = "Presentation Kernel"
    session_requirements = ""

    _parameters: ClassVar[dict[str, tuple[Any, Check]]] = {
        "application_context_name": (None, _uid),
        "calling_ae_title": ("DEFAULT", partial(checked, "AE")),
        "called_ae_title": ("DEFAULT", partial(checked, "AE")),
        "user_information": ([], _list_of(*USER_INFORMATION, UnknownItem)),
        "result": (None, _one_of(0, 1, 2)),
        "result_source": (None, _one_of(1, 2, 3)),
        "diagnostic": (None, _one_of(1, 2, 3, 7)),
        "calling_presentation_address": (None, _address),
        "called_presentation_address": (None, _address),
        "presentation_context_definition_list": ([], _list_of(PresentationContext)),
        "presentation_context_definition_results_list": ([], _list_of(PresentationContext)),
    }

    @classmethod
    def from_pdu(
        cls, pdu: pdus.A_ASSOCIATE_RQ | pdus.A_ASSOCIATE_AC | pdus.A_ASSOCIATE_RJ
    ) -> A_ASSOCIATE:
        """Return the primitive that a PDU conveys."""
        if isinstance(pdu, pdus.A_ASSOCIATE_RJ):
            return cls._received(result=pdu.result, result_source=pdu.source, diagnostic=pdu.reason)
        common = {
            "application_context_name": pdu.application_context_name,
            "calling_ae_title": pdu.calling_ae_title,
            "called_ae_title": pdu.called_ae_title,
            "user_information": list(pdu.user_information),
        }
        if isinstance(pdu, pdus.A_ASSOCIATE_RQ):
            return cls._received(**common, presentation_context_definition_list=contexts_of(pdu))
        return cls._received(
            **common,
            result=0,
            result_source=1,
            presentation_context_definition_results_list=results_of(pdu),
        )

    @property
    def maximum_length_received(self) -> int | None:
        """Return the maximum length that the user information has, if any (PS3.8 D.1)."""
        for item in self.user_information:
            if isinstance(item, MaximumLengthNotification):
                return item.maximum_length_received
        return None

    @property
    def implementation_class_uid(self) -> str | None:
        """Return the implementation class UID that the user information has, if any."""
        for item in self.user_information:
            if isinstance(item, ImplementationClassUIDNotification):
                return item.implementation_class_uid
        return None

    @property
    def mode(self) -> str:
        return "normal"

    @property
    def responding_ae_title(self) -> str:
        return self.called_ae_title

    @property
    def result_str(self) -> str:
        """Return `result` in words."""
        return _in_words(_RESULTS, self.result)

    @property
    def source_str(self) -> str:
        """Return `result_source` in words."""
        return _in_words(_SOURCES, self.result_source)

    @property
    def reason_str(self) -> str:
        """Return `diagnostic` in words (PS3.8 Table 9-21)."""
        if self.diagnostic is None:
            return _NOTHING
        key = (self.result_source or 0, self.diagnostic)
        return _REASONS.get(key, f"Unknown ({self.diagnostic})")


def _in_words(table: dict[int, str], value: int | None) -> str:
    return _NOTHING if value is None else table.get(value, f"Unknown ({value})")


class A_RELEASE(_Primitive):
    """A-RELEASE; `result` is None in a request and ``'affirmative'`` in a response (PS3.8 7.2)."""

    result: str | None
    _parameters: ClassVar[dict[str, tuple[Any, Check]]] = {
        "result": (None, _one_of("affirmative")),
    }
    reason = "normal"

    @classmethod
    def from_pdu(cls, pdu: pdus.A_RELEASE_RQ | pdus.A_RELEASE_RP) -> A_RELEASE:
        """Return the primitive that a PDU conveys."""
        return cls(result="affirmative" if isinstance(pdu, pdus.A_RELEASE_RP) else None)


class A_ABORT(_Primitive):
    """A-ABORT; `abort_source` is 0 for the service user, 2 for the provider (PS3.8 7.3)."""

    abort_source: int | None
    _parameters: ClassVar[dict[str, tuple[Any, Check]]] = {
        "abort_source": (None, _one_of(0, 1, 2)),
    }

    @classmethod
    def from_pdu(cls, pdu: pdus.A_ABORT) -> A_ABORT | A_P_ABORT:
        """Return the primitive that a PDU conveys: A-P-ABORT when the provider sent it."""
        if pdu.source == 2:
            return A_P_ABORT._received(provider_reason=pdu.reason)
        return cls._received(abort_source=pdu.source)


class A_P_ABORT(_Primitive):
    """A-P-ABORT, the abort by the service provider (PS3.8 7.4)."""

    provider_reason: int | None
    _parameters: ClassVar[dict[str, tuple[Any, Check]]] = {
        "provider_reason": (None, _one_of(0, 1, 2, 4, 5, 6)),
    }


class P_DATA(_Primitive):
    """P-DATA: a list of (context ID, control header and fragment) (PS3.8 7.6)."""

    presentation_data_value_list: list[Any]
    _parameters: ClassVar[dict[str, tuple[Any, Check]]] = {
        "presentation_data_value_list": ([], _list_of(list, tuple)),
    }

    @classmethod
    def from_pdu(cls, pdu: pdus.P_DATA_TF) -> P_DATA:
        """Return the primitive that a PDU conveys."""
        return cls(
            presentation_data_value_list=[
                [pdv.context_id, bytes([pdv.control]) + pdv.data] for pdv in pdu.pdvs
            ]
        )

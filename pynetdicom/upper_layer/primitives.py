"""The service primitives of the upper layer (PS3.8 7), made from PDUs by ``from_pdu``.

Programs import them from `pynetdicom.pdu_primitives`.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

from pynetdicom.uids import checked
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.acse import contexts_of, item_of, results_of
from pynetdicom.upper_layer.contexts import PresentationContext
from pynetdicom.upper_layer.ended import REJECT_REASONS
from pynetdicom.upper_layer.fields import UID, Field, ListOf, Text, UnknownItem
from pynetdicom.upper_layer.structure import Structure


class _OneOf(Field[Any]):
    """One of a few values, or None."""

    def __init__(self, *allowed: Any) -> None:
        super().__init__()
        self.allowed = allowed

    def check(self, value: Any) -> Any:
        if value not in self.allowed:
            raise ValueError(f"{self.name!r} must be one of {self.allowed}, not {value!r}")
        return value


class _Title(Text):
    def check(self, value: Any) -> str:
        return checked("AE", value, self.name)


class _Address(Field[Any]):
    def check(self, value: Any) -> Any:
        if not (hasattr(value, "address") and hasattr(value, "port")):
            raise TypeError(f"{self.name!r} must be an AddressInformation or None")
        return value


class _Primitive(Structure):
    """Parameters with a default and a check each; nothing else can be assigned."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.names:
            raise AttributeError(f"{type(self).__name__} has no parameter {name!r}")
        super().__setattr__(name, value)

    @classmethod
    def _received(cls, **values: Any) -> Self:
        """Return one with values that are as a peer sent them, unchecked."""
        self = cls()
        vars(self).update(values)
        return self

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value)
        return f"{type(self).__name__}({said})"


_RESULTS = {0: "Accepted", 1: "Rejected Permanent", 2: "Rejected Transient"}
_SOURCES = {1: "Service User", 2: "Service Provider (ACSE)", 3: "Service Provider (Presentation)"}


class A_ASSOCIATE(_Primitive):
    """A-ASSOCIATE request, indication, response or confirmation (PS3.8 7.1)."""

    application_context_name = UID()
    calling_ae_title = _Title("DEFAULT")
    called_ae_title = _Title("DEFAULT")
    user_information = ListOf(*items.USER_INFORMATION, UnknownItem)
    result = _OneOf(0, 1, 2)
    result_source = _OneOf(1, 2, 3)
    diagnostic = _OneOf(1, 2, 3, 7)
    calling_presentation_address = _Address()
    called_presentation_address = _Address()
    presentation_context_definition_list = ListOf(PresentationContext)
    presentation_context_definition_results_list = ListOf(PresentationContext)
    # The same in each (PS3.8 7.1.1).
    presentation_requirements = "Presentation Kernel"
    session_requirements = ""
    mode = "normal"

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
            "user_information": deepcopy(pdu.user_information),
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
        item = item_of(self.user_information, items.MaximumLengthNotification)
        return None if item is None else item.maximum_length_received

    @property
    def implementation_class_uid(self) -> str | None:
        """Return the implementation class UID that the user information has, if any."""
        item = item_of(self.user_information, items.ImplementationClassUIDNotification)
        return None if item is None else item.implementation_class_uid

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
        why = REJECT_REASONS.get((self.result_source or 0, self.diagnostic or 0))
        return why[0].upper() + why[1:] if why else _in_words({}, self.diagnostic)


def _in_words(table: dict[int, str], value: int | None) -> str:
    return "(no value available)" if value is None else table.get(value, f"Unknown ({value})")


class A_RELEASE(_Primitive):
    """A-RELEASE; `result` is None in a request and ``'affirmative'`` in a response (PS3.8 7.2)."""

    result = _OneOf("affirmative")
    reason = "normal"

    @classmethod
    def from_pdu(cls, pdu: pdus.A_RELEASE_RQ | pdus.A_RELEASE_RP) -> A_RELEASE:
        """Return the primitive that a PDU conveys."""
        return cls(result="affirmative" if isinstance(pdu, pdus.A_RELEASE_RP) else None)


class A_ABORT(_Primitive):
    """A-ABORT; `abort_source` is 0 for the service user, 2 for the provider (PS3.8 7.3)."""

    abort_source = _OneOf(0, 1, 2)

    @classmethod
    def from_pdu(cls, pdu: pdus.A_ABORT) -> A_ABORT | A_P_ABORT:
        """Return the primitive that a PDU conveys: A-P-ABORT when the provider sent it."""
        if pdu.source == 2:
            return A_P_ABORT._received(provider_reason=pdu.reason)
        return cls._received(abort_source=pdu.source)


class A_P_ABORT(_Primitive):
    """A-P-ABORT, the abort by the service provider (PS3.8 7.4)."""

    provider_reason = _OneOf(0, 1, 2, 4, 5, 6)


class P_DATA(_Primitive):
    """P-DATA: a list of (context ID, control header and fragment) (PS3.8 7.6)."""

    presentation_data_value_list = ListOf(list, tuple)

    @classmethod
    def from_pdu(cls, pdu: pdus.P_DATA_TF) -> P_DATA:
        """Return the primitive that a PDU conveys."""
        return cls(
            presentation_data_value_list=[
                [pdv.context_id, bytes([pdv.control]) + pdv.data] for pdv in pdu.pdvs
            ]
        )

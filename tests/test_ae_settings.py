"""Values that an AE cannot send later on are not taken."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import pynetdicom3
from pynetdicom import AE, QueryRetrievePresentationContexts, build_context, build_role
from tests.pair import CT, IMPLICIT, VERIFICATION, Pair, serve


def test_maximum_pdu_size_that_the_item_has_no_room_for(caplog: pytest.LogCaptureFixture) -> None:
    ae = AE()
    ae.maximum_pdu_size = 0xFFFFFFFF
    ae.maximum_pdu_size = 0x100000000
    assert ae.maximum_pdu_size == 0xFFFFFFFF
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_largest_maximum_pdu_size_is_announced() -> None:
    with Pair() as pair:
        pair.scp.maximum_pdu_size = 0xFFFFFFFF
        assoc = pair.established()
        assert assoc.acceptor.maximum_length == 0xFFFFFFFF
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()


def test_server_contexts_are_contexts() -> None:
    ae = AE()
    with pytest.raises(ValueError, match="PresentationContext"):
        ae.make_server(("127.0.0.1", 0), contexts=[VERIFICATION])  # type: ignore[list-item]


# Copies


def c_store(dataset: Any, context: Any, info: Any) -> int:
    return 0x0000


class Special(AE):
    """As programs have them: with a callback and an attribute of its own."""

    def __init__(self) -> None:
        super().__init__("SPECIAL", 11112)
        self.mine = ["x"]

    def on_c_echo(self, context: Any, info: Any) -> int:
        return 0x0107


def through_pickle(ae: AE) -> AE:
    copied: AE = pickle.loads(pickle.dumps(ae))
    return copied


def made() -> Special:
    ae = Special()
    ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = 1, None, 3.5
    ae.connection_timeout = 4
    ae.maximum_associations, ae.maximum_pdu_size = 3, 0
    ae.maximum_object_bytes, ae.spool_dir = 1000, "/tmp"
    ae.require_calling_aet, ae.require_called_aet = ["A", "B"], True
    ae.require_user_identity = True
    ae.implementation_class_uid, ae.implementation_version_name = "1.2.3", "MINE"
    ae.bind_addr = "127.0.0.1"
    ae.add_requested_context(CT, IMPLICIT)
    ae.add_supported_context(CT, scu_role=True, scp_role=False)
    ae.on_c_store = c_store  # type: ignore[method-assign]  # as programs do
    ae.extended_negotiation = [build_role(CT, scp_role=True)]
    return ae


COPIES = [copy.copy, copy.deepcopy, through_pickle]


@pytest.mark.parametrize("copied_by", COPIES)
def test_a_copy_has_all_that_is_set(copied_by: Callable[[AE], AE]) -> None:
    ae = made()
    other = copied_by(ae)
    assert type(other) is Special
    assert str(other) == str(ae)
    for name in (
        "ae_title", "port", "bind_addr", "acse_timeout", "dimse_timeout", "network_timeout",
        "connection_timeout", "maximum_associations", "maximum_pdu_size", "maximum_object_bytes",
        "spool_dir", "require_calling_aet", "require_called_aet", "require_user_identity",
        "implementation_class_uid", "implementation_version_name", "requested_contexts",
        "supported_contexts", "extended_negotiation", "on_c_store", "mine",
    ):  # fmt: skip
        assert getattr(other, name) == getattr(ae, name), name


@pytest.mark.parametrize("copied_by", COPIES)
def test_a_copy_is_independent(copied_by: Callable[[AE], AE]) -> None:
    ae = made()
    other = copied_by(ae)
    other.ae_title, other.acse_timeout = "OTHER", 7
    other.requested_contexts += [build_context(VERIFICATION)]
    other.add_supported_context(CT, "1.2.840.10008.1.2.4.50")
    other.requested_contexts[0].add_transfer_syntax("1.2.840.10008.1.2.4.50")
    other.require_calling_aet.append("C")
    other.extended_negotiation.clear()
    assert str(ae) == str(made())
    assert ae.extended_negotiation == made().extended_negotiation


@pytest.mark.parametrize("copied_by", COPIES)
def test_a_copy_works(copied_by: Callable[[AE], AE]) -> None:
    ae = Special()
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    scp, scu = copied_by(ae), copied_by(ae)
    with scp, scu:
        server = serve(scp)
        with scu.associate("127.0.0.1", server.server_address[1]) as assoc:
            assert assoc.send_c_echo().Status == 0x0107
        assert (len(ae._running.associations), len(ae._running.servers)) == (0, 0)


@pytest.mark.parametrize("copied_by", COPIES)
def test_no_copy_while_something_runs(copied_by: Callable[[AE], AE]) -> None:
    with Pair() as pair:
        with pytest.raises(RuntimeError, match="server or an association"):
            copied_by(pair.scp)
        assert copied_by(pair.scu).ae_title == "SCU"
        with pair.associate() as assoc:
            with pytest.raises(RuntimeError, match="server or an association"):
                copied_by(pair.scu)
            assert assoc.send_c_echo().Status == 0x0000
        assert copied_by(pair.scu).ae_title == "SCU"
        with pytest.raises(RuntimeError, match="server or an association"):
            copied_by(pair.scp)
        pair.scp.shutdown()
        assert copied_by(pair.scp).ae_title == "SCP"
    # A server that is made holds its port, whether it runs or not.
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    server = ae.make_server(("127.0.0.1", 0))
    with pytest.raises(RuntimeError, match="server or an association"):
        copied_by(ae)
    server.server_close()
    assert copied_by(ae).supported_contexts == ae.supported_contexts


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [AE, pynetdicom3.AE])
def test_any_protocol_of_pickle(kind: type[AE], protocol: int) -> None:
    ae = kind("TITLE")
    ae.add_requested_context(CT)
    ae.add_supported_context(CT, scu_role=True, scp_role=True)
    other = pickle.loads(pickle.dumps(ae, protocol))
    assert type(other) is kind
    assert str(other) == str(ae)
    assert other.supported_contexts == ae.supported_contexts


def test_a_handler_that_cannot_be_pickled() -> None:
    ae = AE()
    ae.on_c_store = lambda dataset, context, info: 0x0000  # type: ignore[method-assign]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(ae)
    assert copy.copy(ae).on_c_store is ae.on_c_store


# Contexts to propose


def test_contexts_may_be_added_in_place() -> None:
    ae = AE()
    ae.requested_contexts += [build_context(CT, IMPLICIT)]
    assert [cx.abstract_syntax for cx in ae.requested_contexts] == [CT]
    ae.requested_contexts += QueryRetrievePresentationContexts
    assert len(ae.requested_contexts) == 14
    ae.requested_contexts = [build_context(VERIFICATION)]
    assert len(ae.requested_contexts) == 15
    ae.requested_contexts += (build_context(VERIFICATION) for _ in range(2))
    ae.requested_contexts += []
    assert len(ae.requested_contexts) == 17
    contexts = ae.requested_contexts
    contexts += [build_context(CT)]
    ae.requested_contexts = contexts
    assert len(ae.requested_contexts) == 18
    ae.requested_contexts = []
    assert ae.requested_contexts == []
    ae.supported_contexts += [build_context(CT)]
    ae.supported_contexts += [build_context(VERIFICATION), build_context(CT)]
    assert [cx.abstract_syntax for cx in ae.supported_contexts] == [VERIFICATION, CT]


@pytest.mark.parametrize("wrong", [["1.2"], [build_context(CT), None], 7])
def test_what_cannot_be_added_in_place(wrong: Any) -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    with pytest.raises((TypeError, ValueError)):
        ae.requested_contexts += wrong
    assert len(ae.requested_contexts) == 1


def test_too_many_are_not_added_in_place() -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    with pytest.raises(ValueError, match="128"):
        ae.requested_contexts += [build_context(CT)] * 128
    assert len(ae.requested_contexts) == 1
    ae.requested_contexts += [build_context(CT)] * 127
    assert len(ae.requested_contexts) == 128


def test_what_is_added_in_place_is_the_ae_s_own() -> None:
    context = build_context(CT, IMPLICIT)
    ae = AE()
    ae.requested_contexts += [context]
    context.add_transfer_syntax("1.2.840.10008.1.2.4.50")
    assert ae.requested_contexts[0].transfer_syntax == [IMPLICIT]


# Titles


@pytest.mark.parametrize("empty", ["", b"", "   ", b" " * 16, None, [], ()])
def test_no_calling_title_is_required(empty: Any) -> None:
    ae = AE()
    ae.require_calling_aet = ["A"]
    ae.require_calling_aet = empty
    assert ae.require_calling_aet == []


@pytest.mark.parametrize(
    "given", ["SCU", b"SCU", b"SCU             ", ["SCU"], (b"SCU",), {"SCU"}, iter(["SCU"])]
)
def test_a_calling_title_that_is_required(given: Any) -> None:
    ae = AE()
    ae.require_calling_aet = given
    assert ae.require_calling_aet == ["SCU"]


@pytest.mark.parametrize("wrong", [[""], ["A", ""], "A" * 17, "A\\B", [7], 7])
def test_a_calling_title_that_is_none(wrong: Any) -> None:
    ae = AE()
    ae.require_calling_aet = "A"
    with pytest.raises((TypeError, ValueError)):
        ae.require_calling_aet = wrong
    assert ae.require_calling_aet == ["A"]


# Keywords


def test_contexts_by_keyword() -> None:
    ct, mr, jpeg = (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.5.1.4.1.1.4",
        "1.2.840.10008.1.2.4.50",
    )
    ae = AE()
    ae.add_requested_context("CTImageStorage", "JPEGBaseline8Bit")
    ae.add_requested_context("MRImageStorage", ["JPEGBaseline8Bit", "ImplicitVRLittleEndian"])
    ae.add_supported_context("CTImageStorage")
    ae.add_supported_context(ct, "JPEGBaseline8Bit")
    assert [cx.abstract_uid for cx in ae.requested_contexts] == [ct, mr]
    assert ae.requested_contexts[0].transfer_uids == [jpeg]
    (supported,) = ae.supported_contexts
    assert supported.transfer_uids[-1] == jpeg
    ae.remove_requested_context("MRImageStorage", "JPEGBaseline8Bit")
    assert ae.requested_contexts[1].transfer_uids == ["1.2.840.10008.1.2"]
    ae.remove_requested_context("MRImageStorage")
    ae.remove_supported_context("CTImageStorage", ["JPEGBaseline8Bit"])
    assert jpeg not in ae.supported_contexts[0].transfer_uids
    ae.remove_supported_context("CTImageStorage")
    assert [cx.abstract_uid for cx in ae.requested_contexts] == [ct]
    assert ae.supported_contexts == []


@pytest.mark.parametrize(
    "name",
    [
        "add_requested_context",
        "add_supported_context",
        "remove_requested_context",
        "remove_supported_context",
    ],
)
def test_what_is_neither_a_uid_nor_a_keyword(name: str) -> None:
    ae = AE()
    ae.add_requested_context("CTImageStorage")
    ae.add_supported_context("CTImageStorage")
    method = getattr(ae, name)
    with pytest.raises(ValueError, match="did you mean CTImageStorage"):
        method("CTImagestorage")
    with pytest.raises(ValueError, match="did you mean JPEGBaseline8Bit"):
        method("CTImageStorage", "JPEGBaseline")
    with pytest.raises(ValueError, match="did you mean JPEGBaseline8Bit"):
        method("CTImageStorage", ["1.2.840.10008.1.2", "JPEGBaseline"])
    assert len(ae.requested_contexts) == len(ae.supported_contexts) == 1
    assert len(ae.requested_contexts[0].transfer_uids) == 4


# Presentation contexts


@pytest.mark.parametrize("nothing", [None, 5, ["1.2.3"]])
def test_a_context_of_nothing_is_refused_where_it_is_given(nothing: Any) -> None:
    ae = AE()
    for add in (ae.add_requested_context, ae.add_supported_context, build_context):
        with pytest.raises(TypeError, match="'abstract_syntax' must be str or bytes"):
            add(nothing)  # type: ignore[operator]  # three of a kind
    assert ae.requested_contexts == []
    assert ae.supported_contexts == []


@pytest.mark.parametrize("syntax", [IMPLICIT, IMPLICIT.encode(), [IMPLICIT], (IMPLICIT.encode(),)])
def test_a_lone_transfer_syntax(syntax: Any) -> None:
    ae = AE()
    ae.add_requested_context(CT, syntax)
    ae.add_supported_context(CT, syntax)
    contexts = [*ae.requested_contexts, *ae.supported_contexts, build_context(CT, syntax)]
    assert [context.transfer_syntax for context in contexts] == [[IMPLICIT]] * 3
    ae.remove_requested_context(CT, syntax)
    assert ae.requested_contexts == []


@pytest.mark.parametrize("beyond", [65536, -65536, 2**40])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_is_no_port_is_not_taken_for_another(host: str, beyond: int) -> None:
    """The system's look-up of names takes the lower 16 bits of a number."""
    with Pair() as pair:
        port = pair.server.server_address[1] + beyond
        assoc = pair.scu.associate(host, port)
        assert assoc.is_aborted
        assert f"a port is 1 to 65535, not {port}" in str(assoc.ended)
        with pytest.raises(ValueError, match="a port is 0 to 65535"):
            pair.scu.associate(host, 1, bind_address=(host, port))
        with pytest.raises(ValueError, match="a port is 0 to 65535"):
            pair.scp.start_server((host, port), block=False)
        assert not pair.scp.active_associations


@pytest.mark.parametrize("address", [104, None, "127.0.0.1:104", ("127.0.0.1",)])
def test_what_is_no_address_to_listen_on(address: Any) -> None:
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    with pytest.raises(TypeError, match=r"an address is \(host, port\)"):
        ae.start_server(address, block=False)

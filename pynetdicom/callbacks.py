"""What scripts assign or override, as type checkers see it: `hooks` has it at run time.

Attributes that hold a function may be assigned, and overridden by a method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

    from pynetdicom.event_types import (
        CommonAnswer,
        ExtendedAnswer,
        Info,
        Instances,
        Matches,
        Reply,
        Retrieval,
        Status,
        UserAnswer,
    )
    from pynetdicom.upper_layer.contexts import PresentationContextTuple as Context
    from pynetdicom.upper_layer.items import SOPClassCommonExtendedNegotiation


class Callbacks:
    """Those of an `ApplicationEntity`."""

    on_c_echo: Callable[[Context, Info], Status]
    on_c_store: Callable[[Dataset, Context, Info], Status]
    on_c_find: Callable[[Dataset, Context, Info], Matches]
    on_c_get: Callable[[Dataset, Context, Info], Instances]
    on_c_move: Callable[[Dataset, bytes, Context, Info], Retrieval]
    on_n_action: Callable[[Dataset, Context, Info], Reply]
    on_n_create: Callable[[Dataset, Context, Info], Reply]
    on_n_event_report: Callable[[Dataset, Context, Info], Reply]
    on_n_set: Callable[[Dataset, Context, Info], Reply]
    on_n_delete: Callable[[Context, Info], Status]
    on_n_get: Callable[[list[BaseTag], Context, Info], Reply]
    on_async_ops_window: Callable[[int, int], tuple[int, int]]
    on_sop_class_common_extended: Callable[
        [dict[str, SOPClassCommonExtendedNegotiation]], CommonAnswer
    ]
    on_sop_class_extended: Callable[[dict[str, bytes]], ExtendedAnswer]
    on_user_identity: Callable[[int, bytes, bytes, Info], UserAnswer]
    on_association_requested: Callable[[Any], object]
    on_association_accepted: Callable[[Any], object]
    on_association_rejected: Callable[[Any], object]
    on_association_released: Callable[[Any], object]
    on_association_aborted: Callable[[Any], object]
    on_receive_connection: Callable[[], object]
    on_make_connection: Callable[[], object]
    on_c_find_cancel: Callable[[], object]
    on_c_get_cancel: Callable[[], object]
    on_c_move_cancel: Callable[[], object]


class DebugHooks:
    """Those of an `Association`."""

    debug_association_requested: Callable[[Any], object]
    debug_association_accepted: Callable[[Any], object]
    debug_association_rejected: Callable[[Any], object]
    debug_association_released: Callable[[Any], object]
    debug_association_aborted: Callable[[Any], object]

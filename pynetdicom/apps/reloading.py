"""What a server that has a configuration reads anew while it runs, on SIGHUP.

In: the configuration that holds, and the one that its file has now. Out: the one that holds from
then on, for the next association and the next request.
"""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import tls
from pynetdicom.apps.configuring import TIMEOUTS, Sections

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity

LOGGER = logging.getLogger(__name__)


def limit(ae: ApplicationEntity, config: Any) -> None:
    """Give an application entity the limits of a configuration."""
    for name in TIMEOUTS:
        setattr(ae, name, getattr(config, name))
    ae.maximum_pdu_size = config.max_pdu
    ae.maximum_associations = config.maximum_associations


def merged(
    old: tls.Checked, fresh: tls.Checked, sections: Sections, from_the_start: Set[str]
) -> tls.Checked:
    """What holds of a configuration that was read anew; it is logged what does not.

    Parameters
    ----------
    old, fresh : Settings
    sections : Sections
        The keys that it may have.
    from_the_start : set of str
        The fields that hold as long as the server runs; whether it listens with TLS does, too.
    """
    kept = {name: getattr(old, name) for name in from_the_start}
    if (old.tls_certificate is None) != (fresh.tls_certificate is None):  # how it listens
        kept |= {name: getattr(old, name) for name, _ in tls.SECTION.values()}
    keys = [
        f"[{section}] {key}"
        for section, rows in sections.items()
        for key, (name, _) in rows.items()
        if name in kept and kept[name] != getattr(fresh, name)
    ]
    if keys:
        LOGGER.warning("SIGHUP: not before the next start: %s", ", ".join(keys))
    return replace(fresh, **kept)

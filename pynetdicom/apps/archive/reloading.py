"""What an archive reads anew while it runs: its peers, its limits, its certificates.

In: the configuration that holds, and the one that its file has now. Out: the one that holds from
then on, for the next association and the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynetdicom.apps import reloading
from pynetdicom.apps.archive.config import SECTIONS, Config, access_rules
from pynetdicom.apps.tls import security

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.apps.archive.handlers import Archive
    from pynetdicom.transport import AssociationServer

FROM_THE_START = frozenset(
    (
        "ae_title", "bind_address", "port", "workers", "instance_location", "sync",
        "database_location", "worklist_directory", "commitment_store", "verify_bytes",
        "tls_plain_too", "passwords", "password_in_clear",
    )
)  # fmt: skip
"""What holds as long as the archive runs: how it listens, and where it keeps what it has.

The files of TLS and of users are read again by themselves, when they change.
"""


def limit(ae: ApplicationEntity, config: Config) -> None:
    """Give an application entity the limits of a configuration."""
    reloading.limit(ae, config)
    ae.maximum_object_bytes = config.maximum_object_bytes


def merged(old: Config, fresh: Config) -> Config:
    """What holds of a configuration that was read anew; it is logged what does not."""
    return reloading.merged(old, fresh, SECTIONS, FROM_THE_START)


def take(
    fresh: Config, source: str, archive: Archive, ae: ApplicationEntity, server: AssociationServer
) -> None:
    """Have an archive go on by another configuration, and lose no association.

    Raises
    ------
    ConfigError
        Something is wrong with it, and nothing was changed.
    """
    config = merged(archive.config, fresh)
    contexts, access = security(config, source), access_rules(config)
    limit(ae, config)
    archive.go_on_by(config, contexts.destinations)
    server.access = access
    server.ssl_context = contexts.server

"""``qrscp --clean``: all objects and all rows are deleted, while nobody works with them."""

from __future__ import annotations

import logging

from pynetdicom.apps import options
from pynetdicom.apps.archive.admin import confirm
from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.archive.opening import open_archive
from pynetdicom.apps.archive.presence import alone
from pynetdicom.apps.progress import Terminal

LOGGER = logging.getLogger(__name__)


def clean(config: Config, source: str, terminal: Terminal, *, is_sure: bool) -> int:
    """Delete all, if that is what is wanted; the exit code.

    Raises
    ------
    InUse
        An archive is at work.
    """
    archive = open_archive(config, source)
    try:
        # Looked at before anybody is asked, and for as long as it takes.
        with alone(archive.database):
            studies, objects = (archive.index.count(level) for level in ("STUDY", "IMAGE"))
            what = f"{objects} objects of {studies} studies"
            where = config.instance_location
            if not confirm(f"Delete all that is in {where}, {what}?", is_sure=is_sure):
                terminal.result("nothing was deleted")
                return options.FAILED
            archive.store_of_objects.clear()
            archive.index.clear()
            LOGGER.warning("deleted all: %s", what)
    finally:
        archive.close()
    return 0

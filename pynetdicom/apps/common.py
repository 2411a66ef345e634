"""What scripts modelled on the apps import; the apps themselves do without it."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from pynetdicom.apps.keys import WrongKey, make_query
from pynetdicom.apps.logs import LEVELS, SILENT

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_OF_TYPE = {"q": SILENT, "v": logging.INFO, "d": logging.DEBUG}


def setup_logging(args: argparse.Namespace, app_name: str) -> logging.Logger:
    """Print the log of a script, and the library's, on standard error.

    Parameters
    ----------
    args : argparse.Namespace
        With ``log_type``, one of ``"q"``, ``"v"`` and ``"d"``, or ``quiet``, ``verbose`` and
        ``debug``; and ``log_level``, which goes before: ``"critical"`` … ``"debug"``. Each may be
        missing; errors are printed if all are.
    app_name : str
        The name of the script's logger.

    Returns
    -------
    logging.Logger
        The script's logger.
    """
    level = _OF_TYPE.get(getattr(args, "log_type", None) or "", logging.ERROR)
    for flag, its_level in (
        ("quiet", SILENT),
        ("verbose", logging.INFO),
        ("debug", logging.DEBUG),
    ):
        level = its_level if getattr(args, flag, False) else level
    level = LEVELS.get(getattr(args, "log_level", None) or "", level)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))
    logger = logging.getLogger(app_name)
    for one in (logger, logging.getLogger("pynetdicom")):
        one.handlers = [handler]
        one.setLevel(level)
    return logger


def create_dataset(args: argparse.Namespace, logger: logging.Logger | None = None) -> Dataset:
    """Make an identifier of ``args.file`` and the keys of ``args.keyword``, as findscu does.

    Raises
    ------
    ValueError
        It cannot be made. `logger`, if given, is told why.
    """
    try:
        return make_query(getattr(args, "file", None), getattr(args, "keyword", None) or ())
    except WrongKey as error:
        if logger is not None:
            logger.error("%s", error)
        raise

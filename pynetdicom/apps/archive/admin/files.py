"""Files that are copied, or linked, to where there is none."""

from __future__ import annotations

import errno
import os
import shutil

from pynetdicom.data_sets.provisional import ProvisionalFile, copy_file, sync_directory

NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What says that a file cannot be linked there, but can be copied."""


def copy(path: str, target: str, *, sync: bool = False) -> None:
    """Copy a file, with its time, to where there is none; nobody sees it by half.

    Raises
    ------
    OSError
        It cannot be; FileExistsError where there is one.
    """
    if os.path.exists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    new = ProvisionalFile(os.path.dirname(target))
    try:
        with open(path, "rb") as source:
            copy_file(source.fileno(), new.fd, os.fstat(source.fileno()).st_size)
        new.publish(target, overwrite=False, sync=sync)
    finally:
        new.close()
    shutil.copystat(path, target)


def link(path: str, target: str, *, sync: bool = False) -> bool:
    """Have a file under another name too; False if there can be no link there.

    Raises
    ------
    OSError
        It cannot be; FileExistsError where there is a file.
    """
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        return False
    if sync:
        with open(target, "rb") as file:
            os.fsync(file.fileno())
        sync_directory(os.path.dirname(target))
    return True

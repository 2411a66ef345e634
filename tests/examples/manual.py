"""Runs examples of the manual, word for word, and says as JSON what became of them.

``python manual.py 01_associate.py 02_called_ae_title.py`` runs them one after another in one
namespace, as a reader of the manual would. With ``--get 1.2.3`` the reader goes on: with the AE of
the last one he retrieves a study over its association, which needs the roles that it has proposed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def run(paths: list[str], study: str | None = None) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    associations = []
    for path in paths:
        exec(compile(Path(path).read_text(), path, "exec"), namespace)
        associations.append(namespace["assoc"])
    retrieved = {} if study is None else _get(namespace["ae"], namespace["assoc"], study)
    return {
        **retrieved,
        "associations": [
            {
                "established": assoc.is_established,
                "released": assoc.is_released,
                "ended": str(assoc.ended),
                "called": assoc.acceptor.ae_title,
                "requested": len(assoc.requestor.requested_contexts),
                "roles": len(assoc.requestor.role_selection),
                "accepted": [cx.abstract_syntax for cx in assoc.accepted_contexts],
                "as_scp": [cx.abstract_syntax for cx in assoc.accepted_contexts if cx.as_scp],
                "rejected": len(assoc.rejected_contexts),
                "echo": _echo(assoc),
            }
            for assoc in associations
        ],
        "released": [_release(assoc) for assoc in associations],
    }


def _get(ae: Any, assoc: Any, study: str) -> dict[str, Any]:
    """Retrieve a study, and say what the peer has sent and how it has ended."""
    from pydicom.dataset import Dataset

    stored: list[str] = []

    def on_c_store(ds: Any, context: Any, info: Any) -> int:
        stored.append(ds.SOPInstanceUID)
        return 0x0000

    ae.on_c_store = on_c_store
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = study
    *_, (status, _) = assoc.send_c_get(wanted, query_model="S")
    return {"stored": stored, "get": status.get("Status")}


def _echo(assoc: Any) -> int | None:
    if not assoc.is_established:
        return None
    try:
        return assoc.send_c_echo().get("Status")
    except ValueError:
        return None


def _release(assoc: Any) -> bool:
    if assoc.is_established:
        assoc.release()
    return assoc.is_released


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("path", nargs="+")
    parser.add_argument("--get", metavar="STUDY")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.path, arguments.get)))

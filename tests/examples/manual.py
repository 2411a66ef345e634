"""Runs examples of the manual, word for word, and says as JSON what became of them.

``python manual.py 01_associate.py 02_called_ae_title.py`` runs them one after another in one
namespace, as a reader of the manual would.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def run(paths: list[str]) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    associations = []
    for path in paths:
        exec(compile(Path(path).read_text(), path, "exec"), namespace)
        associations.append(namespace["assoc"])
    return {
        "associations": [
            {
                "established": assoc.is_established,
                "released": assoc.is_released,
                "ended": str(assoc.ended),
                "called": assoc.acceptor.ae_title,
                "requested": len(assoc.requestor.requested_contexts),
                "roles": len(assoc.requestor.role_selection),
                "accepted": [cx.abstract_syntax for cx in assoc.accepted_contexts],
                "rejected": len(assoc.rejected_contexts),
                "echo": _echo(assoc),
            }
            for assoc in associations
        ],
        "released": [_release(assoc) for assoc in associations],
    }


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
    print(json.dumps(run(sys.argv[1:])))

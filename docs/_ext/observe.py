"""What the programs negotiate, as JSON: each is run up to where it would listen or associate.

A process of its own runs this, because programs set up logging and signals. Nothing is listened on
and nothing is sent: what would do so is replaced, and notes what it is given.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pynetdicom.ae import ApplicationEntity

ARCHIVE = """
[archive]
workers = 1
[storage]
location = "objects"
[worklist]
directory = "worklist"
[commitment]
store = "commitment.sqlite"
"""

WORKFLOWS = """
[mpps]
notify = ["VIEWER"]
[worklist]
directory = "worklist"
[commitment]
objects = "objects"
[[peer]]
ae_title = "VIEWER"
address = "127.0.0.1"
"""

Noted = dict[str, Any]


class Done(BaseException):
    """A program has said what it negotiates."""


def described(contexts: Any) -> list[list[Any]]:
    """Presentation contexts as abstract syntax, transfer syntaxes and the requestor's roles."""
    return [
        [str(cx.abstract_syntax), list(map(str, cx.transfer_syntax)), cx.scu_role, cx.scp_role]
        for cx in contexts
    ]


def observe(app: str, arguments: list[str], listens: bool) -> list[Noted]:
    """Run a program; gives what it would have listened with, and associated with."""
    noted: list[Noted] = []

    def associate(ae: Any, addr: Any, port: Any, contexts: Any = None, **others: Any) -> Any:
        items = others.get("ext_neg") or ()
        noted.append(
            {
                "side": "requestor",
                "contexts": described(contexts),
                "roles": [str(one.sop_class_uid) for one in items if hasattr(one, "scp_role")],
                "window": ae.window,
            }
        )
        raise Done

    def serve(ae: Any, *_: Any, contexts: Any = None, **others: Any) -> Any:
        noted.append(
            {
                "side": "acceptor",
                "contexts": described(ae.supported_contexts if contexts is None else contexts),
                "unrestricted": bool(others.get("unrestricted_storage")),
                "associations": ae.maximum_associations,
                "window": ae.window,
            }
        )
        if listens:
            raise Done
        return SimpleNamespace(server_address=("127.0.0.1", 0))

    module = import_module(f"pynetdicom.apps.{app.replace('-', '_')}")
    kept = {name: getattr(ApplicationEntity, name) for name in NAMES}
    for name, replaced in zip(NAMES, (associate, serve, serve), strict=True):
        setattr(ApplicationEntity, name, replaced)
    try:
        module.main(arguments)
    except Done:
        return noted
    finally:
        for name, method in kept.items():
            setattr(ApplicationEntity, name, method)
    raise AssertionError(f"{app} {' '.join(arguments)} neither listens nor associates")


def reporting(accepted: Noted) -> list[Noted]:
    """What a server proposes to whom it reports: it is SCP of what has events."""
    from pynetdicom.services import registry
    from pynetdicom.workflows import delivery

    noted: list[Noted] = []

    class Reporter:
        """Stands for the AE of a server that reports."""

        def associate(self, *_: Any, contexts: Any, ext_neg: Any, **others: Any) -> None:
            roles = [str(item.sop_class_uid) for item in ext_neg]
            noted.append({"side": "requestor", "contexts": described(contexts), "roles": roles})

    for uid, *_ in accepted["contexts"]:
        if "N-EVENT-REPORT" in registry.operations(uid):
            delivery.associated(Reporter(), "A", ("127.0.0.1", 104), uid)  # type: ignore[arg-type]
    return noted


def further_of_getscu() -> list[Noted]:
    """What getscu proposes on further associations, for what the peer could not send."""
    from pynetdicom.apps import getscu

    return [
        {
            "side": "requestor",
            "contexts": [
                [str(uid), list(map(str, syntaxes)), None, None] for uid, syntaxes in kinds
            ],
            "roles": [str(uid) for uid, _ in kinds],
        }
        for kinds in list(getscu.plan([]))[1:]
    ]


NAMES = ("associate", "start_server", "make_server")


def calls(place: Path) -> dict[str, list[list[str]]]:
    """The command lines that make a program negotiate all that it can; files are in `place`."""
    from pydicom.data import get_testdata_file

    from pynetdicom.apps import getscu, movescu, upsscu

    peer = ["127.0.0.1", "104"]
    key = ["-k", "PatientID=1"]
    given = {
        "uid": ["--uid", "1.2.3"],
        "transaction": ["--transaction", "1.2.4"],
        "listen": ["--listen", "0"],
    }
    models = {
        app: [flag for action in module.make_parser()._actions if action.dest == "model"
              for flag in action.option_strings[:1]]
        for app, module in (("findscu", import_module("pynetdicom.apps.findscu")),
                            ("getscu", getscu), ("movescu", movescu))
    }  # fmt: skip
    return {
        "echoscu": [peer],
        "echoscp": [["0"]],
        "storescu": [[*peer, str(get_testdata_file("CT_small.dcm"))]],
        "storescp": [["0", "-od", str(place / "objects")]],
        **{
            app: [[*peer, flag, *key, *more] for flag in flags]
            for (app, flags), more in zip(
                models.items(),
                ([], ["-od", str(place)], ["--store", "-od", str(place)]),
                strict=True,
            )
        },
        "mppsscu": [
            [*peer, "get", "--uid", "1.2.3"],
            [*peer, "discontinue", "--uid", "1.2.3"],
        ],
        "stgcmtscu": [[*peer, "--listen", "0", "CTImageStorage=1.2.3"]],
        "ianscu": [[*peer, "--retrieve-aet", "A", str(get_testdata_file("CT_small.dcm"))]],
        "upsscu": [
            [
                *peer,
                action,
                "--receiver",
                "A",
                *key[: 0 if "scribe" in action else 2],
                *(word for need in what.needs for word in given[need]),
            ]
            for action, what in upsscu.ACTIONS.items()
        ],
        "workflowscp": [["--config", str(place / "workflows.toml"), "--port", "0"]],
        "qrscp": [["--config", str(place / "archive.toml"), "--port", "0"]],
    }


def main() -> None:
    """Print what all programs negotiate."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for folder in ("objects", "worklist"):
            (place / folder).mkdir()
        (place / "archive.toml").write_text(ARCHIVE)
        (place / "workflows.toml").write_text(WORKFLOWS)
        found = {}
        for app, lines in calls(place).items():
            found[app] = [one for line in lines for one in observe(app, line, app.endswith("scp"))]
    found["getscu"] += further_of_getscu()
    for app in ("workflowscp", "qrscp"):
        found[app] += reporting(found[app][0])
    # On the last line: programs have printed others.
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

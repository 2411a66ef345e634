"""``python -m pynetdicom APP …``: run one of the apps."""

from __future__ import annotations

import sys
from importlib import import_module

from pynetdicom._version import __version__

APPS = {
    "echoscu": "ask a peer whether it is there",
    "echoscp": "answer those who ask",
    "storescu": "send files to a peer",
    "storescp": "receive objects and write them to files",
    "findscu": "ask a peer for what matches",
    "getscu": "have a peer send objects, and write them to files",
    "movescu": "have a peer send objects to somebody, or to this app",
    "mppsscu": "tell a peer how a procedure step goes on",
    "stgcmtscu": "ask a peer to commit itself to keep objects",
    "ianscu": "tell a peer which objects can be had from where",
    "upsscu": "schedule, perform and watch unified procedure steps",
    "workflowscp": "keep procedure steps, commit to keep objects",
    "qrscp": "be an archive: receive, find and send objects",
    "passwd": "give users of the servers a passcode",
    "tls-test-ca": "make certificates to try TLS with",
}

USAGE = "usage: python -m pynetdicom [-h] [--version] APP …"


def main() -> int:
    """Run the app that the command line names; gives its exit code."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name == "--version":
        print(__version__)
        return 0
    if name in ("-h", "--help"):
        lines = (f"  {app:11} {what}" for app, what in APPS.items())
        print(USAGE, "", "apps (APP --help tells more):", *lines, sep="\n")
        return 0
    if name not in APPS:
        problem = f"there is no app {name!r}." if name else "which app?"
        print(f"pynetdicom: {problem} There are {', '.join(APPS)}", file=sys.stderr)
        return 2
    sys.argv[0:2] = [name]
    try:
        module = import_module(f"pynetdicom.apps.{name.replace('-', '_')}")
    except KeyboardInterrupt:
        return 130
    code: int = module.main()
    return code


if __name__ == "__main__":
    sys.exit(main())

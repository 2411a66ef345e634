"""A process that is sent signals all the while: ``python -m tests.signalled SEED COUNT``.

Its main thread asks a server in the same process for all kinds of things; at moments of chance it
is sent a signal, whose handler aborts, releases, shuts down, leaves a query, or raises
KeyboardInterrupt, and may itself be interrupted. It says how many signals there were.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import random
import signal
import sys
import threading
from typing import Any

from tests.injection import ACTIONS, DEADLINE, Caller, serve

CALLS = ("echo", "echo", "store", "stores", "spread", "find", "leave", "get", "release")
LONGEST = 0.012
"""Seconds to the next signal, at most: an association with all that is asked on it takes longer."""


def main(seed: int, count: int) -> None:
    logging.disable(logging.CRITICAL)
    chance = random.Random(seed)
    server, port = serve()
    handled = 0
    caller: Any = None
    asks = False

    def handle(*_: Any) -> None:
        nonlocal handled
        handled += 1
        # Whatever ends by a timer of the library is a hang here: they are longer than this.
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        action = chance.choice(ACTIONS)
        if asks and action != "interrupt" and chance.random() < 0.3:
            # The next one may come in the midst of this handler.
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00001, 0.0005))
        if caller is not None and (asks or action != "interrupt"):
            caller.do(action)

    signal.signal(signal.SIGALRM, handle)
    faulthandler.dump_traceback_later(DEADLINE, exit=True)
    while handled < count:
        try:
            caller = Caller(port)
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, LONGEST))
            asks = True
            caller.associate()
            for call in chance.sample(CALLS, len(CALLS)):
                if not caller.assoc.is_established:
                    break
                getattr(caller, call)()
                if signal.getitimer(signal.ITIMER_REAL)[0] == 0.0:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, LONGEST))
        except (KeyboardInterrupt, RuntimeError):  # it is ended, or was never there
            pass
        finally:
            asks = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        caller.ae.shutdown()
        caller = None
    server.shutdown()
    faulthandler.cancel_dump_traceback_later()
    # A thread that was interrupted before it could be started is not known to have no thread.
    left = [one for one in threading.enumerate() if one.ident not in (None, threading.get_ident())]
    for thread in left:
        thread.join(DEADLINE)
    alive = [one.name for one in left if one.is_alive()]
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    print(handled, len(alive), descriptors)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""P-DATA-TF PDUs for those who watch PDUs: they are understood piece by piece, and shown whole."""

from __future__ import annotations

from pynetdicom.network.user import User
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.framing import Framer


class Watched:
    """Collects what is received of a P-DATA-TF, and shows it when it is complete.

    Parameters
    ----------
    user : User
        Who is shown it, and whose assembler is fed all the same.
    framer : Framer
    """

    def __init__(self, user: User, framer: Framer) -> None:
        self._user = user
        self._framer = framer
        self._pdvs: tuple[pdus.PDV, ...] = ()
        self._pdv = b""

    def feed(self, context_id: int, control: int, data: memoryview, done: bool) -> None:
        """As the user's assembler has it."""
        self._pdv += data
        if done:
            self._pdvs += (pdus.PDV(context_id, control, self._pdv),)
            self._pdv = b""
            if not self._framer.in_p_data:
                shown, self._pdvs = self._pdvs, ()
                self._user.on_pdu(pdus.P_DATA_TF(pdvs=list(shown)), False)
        self._user.assembler.feed(context_id, control, data, done)

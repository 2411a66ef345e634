"""pynetdicom.network.waking: waiting for sockets, and being woken meanwhile."""

from __future__ import annotations

import gc
import os
import socket
import threading

import pytest

from pynetdicom.network.waking import Waker, wait_for


def test_a_waker_wakes() -> None:
    ours, theirs = socket.socketpair()
    waker = Waker()
    try:
        threading.Timer(0.02, waker.set).start()
        assert not wait_for(ours.fileno(), 3600, waker=waker)
        for _ in range(3):
            waker.set()
        waker.clear()
        waker.clear()
        assert not wait_for(ours.fileno(), 0.01, waker=waker)
        theirs.send(b"x")
        waker.set()
        assert wait_for(ours.fileno(), 60, waker=waker)
    finally:
        waker.close()
        ours.close()
        theirs.close()


def test_a_waker_gives_its_descriptors_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    waker = Waker()
    waker.close()
    waker.close()
    Waker()
    gc.collect()
    with monkeypatch.context() as patch:
        patch.delattr(os, "eventfd", raising=False)
        pipes = Waker()
        pipes.set()
        pipes.clear()
        pipes.close()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before

"""``python -m pynetdicom``."""

from __future__ import annotations

import sys

import pytest

from pynetdicom import __main__ as module
from pynetdicom import __version__


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pynetdicom", *arguments])
    return module.main()


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_the_apps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    assert run(monkeypatch, flag) == 0
    text = capsys.readouterr().out
    for app in module.APPS:
        assert app in text


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["../x"]])
def test_without_an_app_the_apps_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "storescp" in error
    assert error.partition(" There are")[0][-1] in ".?"


@pytest.mark.parametrize("app", module.APPS)
def test_every_app_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], app: str
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", sys.modules.get("numpy"))
    with pytest.raises(SystemExit) as exit_:
        run(monkeypatch, app, "--version")
    assert not exit_.value.code
    assert capsys.readouterr().out == f"{app}.py v{__version__}\n"

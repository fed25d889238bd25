"""Tests of signals that wait until a block has ended, whichever thread the system hands them to."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from export.stop_signals import StopSignals, defer_signals


@pytest.fixture(autouse=True)
def _restore_handlers() -> Iterator[None]:
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


def _stop_in_block(number: signal.Signals) -> None:
    """Send a signal to the process, in a block that defers it, while threads run that may receive it."""
    with defer_signals():
        _stop_next_to_other_threads(number)
        sys.stdout.write("all of it")


def _stop_next_to_other_threads(number: signal.Signals) -> None:
    release = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(release.wait) for _ in range(2)]
        os.kill(os.getpid(), number)
        release.set()
        assert all(wait.result() for wait in waits)


@pytest.mark.parametrize(("number", "stop"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_signal_waits_until_the_block_has_ended(
    number: signal.Signals, stop: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest may run with it ignored
    StopSignals()
    with pytest.raises(stop):
        _stop_in_block(number)
    assert capsys.readouterr().out == "all of it"


def test_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with defer_signals():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_have_nothing_to_defer() -> None:
    def run() -> str:
        with defer_signals():
            return "ran"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result() == "ran"

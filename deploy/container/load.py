"""Closed-loop clients that open a connection per request and count the outcomes."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

HEADERS = {"Content-Type": "application/json"}
BODY = json.dumps({"model": "all-MiniLM-L6-v2", "input": "The lamp warns ships."})
REFUSED = "refused"
LOST = "lost"
"""Refused: it was never connected, so a balancer sends it elsewhere. Lost: it was, and has no answer."""


@contextmanager
def client_load(port: int, clients: int) -> Iterator[Counter[str]]:
    """Yield counts of statuses, of `REFUSED` and of `LOST`; they are complete when the context has ended."""
    counts: Counter[str] = Counter()
    stop = threading.Event()

    def send_requests() -> None:
        while not stop.is_set():
            outcome = send_request(port)
            counts[outcome] += 1
            if outcome == REFUSED:
                time.sleep(0.02)

    threads = [threading.Thread(target=send_requests) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def send_request(port: int) -> str:
    """One request's outcome."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.connect()
    except OSError:
        return REFUSED
    try:
        connection.request("POST", "/v1/embeddings", BODY, HEADERS)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return LOST
    else:
        return str(response.status)
    finally:
        connection.close()

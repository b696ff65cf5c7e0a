"""Threads that send, so that several clients are sent to at once: sendfile(2) lets go of the interpreter.

A thread is for a client that takes what it gets. One that has to be waited for is waited for on the loop, and
costs a thread no more than `_PAUSE`.
"""

import os
import select
import time
from concurrent.futures import ThreadPoolExecutor

WINDOW = 1 << 20
"""Bytes a call. Measured: larger ones are slower, they do not stay in the processor's cache."""

_TURN = 0.05
"""Seconds after which the next client has its turn, however much this one takes."""

_PAUSE = 2
"""Milliseconds that a client may need to make room; one on a fast line needs less."""

THREADS = ThreadPoolExecutor(4, "send")
"""Where turns are taken. More than two do not send faster; a disk has several reads to choose from."""


def take_turn(sock: int, file: int, offset: int, count: int) -> int:
    """Send `count` bytes of `file` from `offset`, or fewer when the turn or the client's room is over.

    Returns how many, 0 at the end of the file. Raises BlockingIOError when the client has no room for any,
    and other OSErrors. For a thread: it waits for the disk.
    """
    over = time.monotonic() + _TURN
    sent = 0
    while True:
        try:
            some = os.sendfile(sock, file, offset + sent, min(WINDOW, count - sent))
        except BlockingIOError:
            if _has_room(sock):
                continue
            if sent:
                return sent
            raise
        sent += some
        if not some or sent == count or time.monotonic() >= over:
            return sent


def _has_room(sock: int) -> bool:
    """Whether the client takes more, within the pause."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(_PAUSE))

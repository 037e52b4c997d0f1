"""A server for `onedoor run` that accepts on $PORT, says every signal it gets, and ends with 3 at SIGTERM. A line on standard input is
answered with the number of interrupts; its end ends everything with 6, at a terminal."""

import os
import signal
import socket
import sys
import threading

interrupts = 0


def heard(number, _frame):
    global interrupts
    interrupts += number == signal.SIGINT
    os.write(1, f"heard {signal.Signals(number).name}\n".encode())
    if number == signal.SIGTERM:
        os._exit(3)


def answer():
    at_terminal = os.isatty(0)
    try:
        for _line in sys.stdin:
            os.write(1, f"interrupted {interrupts} times\n".encode())
    finally:
        if at_terminal:
            os._exit(6)


for name in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"]:
    signal.signal(getattr(signal, f"SIG{name}"), heard)
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
threading.Thread(target=answer, daemon=True).start()
while True:
    signal.pause()

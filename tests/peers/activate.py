"""Opens listening sockets, as a service manager does, and becomes the program that is named: `activate.py ADDRESS:PORT… -- PROGRAM …`."""
import os
import socket
import sys

FIRST_PASSED = 3

split = sys.argv.index("--")
program = sys.argv[split + 1 :]
sockets = []
for place in sys.argv[1:split]:
    address, _, port = place.rpartition(":")
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((address, int(port)))
    opened.listen()
    # Far away first: the places of the passed ones may be taken.
    sockets.append(os.dup(opened.fileno()))
high = [os.dup2(number, 100 + index) for index, number in enumerate(sockets)]
for index, number in enumerate(high):
    os.dup2(number, FIRST_PASSED + index, inheritable=True)
    os.close(number)
os.environ["LISTEN_FDS"] = str(len(high))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(program[0], program)

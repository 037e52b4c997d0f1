"""Listens on a port of 127.0.0.1 and keeps it until standard input ends; prints the port, or why it could not have it."""
import argparse
import socket
import sys

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--reuseport", action="store_true", help="ask to share the port")
arguments = arguments.parse_args()

held = socket.socket()
if arguments.reuseport:
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
    held.bind(("127.0.0.1", arguments.port))
    held.listen()
except OSError as error:
    print(error.strerror, flush=True)
    sys.exit(1)
print(held.getsockname()[1], flush=True)
sys.stdin.read()

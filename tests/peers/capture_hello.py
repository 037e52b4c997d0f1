"""Writes the first flight of the first connection into a file: how `tests/hellos` was made.

Prints its port, takes one connection, reads until the ClientHello is complete, closes.
"""

import argparse
import socket


def read_exactly(connection, count):
    taken = b""
    while len(taken) < count:
        more = connection.recv(count - len(taken))
        if not more:
            raise SystemExit("the client left before its hello was complete")
        taken += more
    return taken


def read_hello(connection):
    """Every record up to the end of the first handshake message."""
    flight, message = b"", b""
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        head = read_exactly(connection, 5)
        if head[0] != 22:
            raise SystemExit(f"not a handshake record: {head.hex()}")
        body = read_exactly(connection, int.from_bytes(head[3:5], "big"))
        flight += head + body
        message += body
    return flight


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    arguments = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    with open(arguments.file, "wb") as file:
        file.write(read_hello(connection))


main()

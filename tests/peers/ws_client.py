"""A WebSocket client that talks to an echo server through a door and prints what it heard as JSON."""

import argparse
import json
import os
import socket
import ssl

from websockets.sync.client import connect

PATIENCE = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--name", required=True)
    options = parser.parse_args()
    tls = ssl.create_default_context(cafile=options.ca)
    sizes = [0, 1, 125, 126, 65535, 65536, 8 << 20]
    with connect(
        f"wss://{options.name}:{options.port}/first?q=1",
        sock=socket.create_connection(("127.0.0.1", options.port)),
        server_hostname=options.name,
        ssl=tls,
        max_size=None,
        subprotocols=["chat"],
    ) as talk:
        first = talk.recv(PATIENCE)
        same = []
        for size in sizes:
            message = os.urandom(size)
            talk.send(message)
            same.append(talk.recv(PATIENCE) == message)
        talk.send("größer ∞")
        text = talk.recv(PATIENCE)
        pong = talk.ping().wait(PATIENCE)
        talk.close(4001, "enough")
        closed = talk.close_code
    heard = {"first": first, "same": same, "text": text, "pong": pong, "protocol": talk.subprotocol, "closed": closed}
    print(json.dumps(heard))


if __name__ == "__main__":
    main()

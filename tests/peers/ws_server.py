"""A WebSocket server that echoes messages. Prints its port, then how each connection ended."""

import json

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


def echo(socket):
    if socket.request.path.startswith("/first"):
        socket.send("welcome")
    try:
        while True:
            socket.send(socket.recv())
    except ConnectionClosed as end:
        code = end.rcvd.code if end.rcvd else None
        print(json.dumps({"is": "closed", "code": code}), flush=True)


def main():
    with serve(echo, "127.0.0.1", 0, max_size=None, compression="deflate", subprotocols=["chat"]) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

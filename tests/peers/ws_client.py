"""A WebSocket client that talks to an echo server through a door and prints what it heard as JSON.

One thread does it all: OpenSSL lets only one thread at a time use a connection, and a reading one that comes upon a session ticket
while another writes its request may wait for ever.
"""

import argparse
import asyncio
import json
import os
import ssl

from websockets.asyncio.client import connect

PATIENCE = 20


async def talk_to(options):
    tls = ssl.create_default_context(cafile=options.ca)
    sizes = [0, 1, 125, 126, 65535, 65536, 8 << 20]
    async with connect(
        f"wss://{options.name}:{options.port}/first?q=1",
        host="127.0.0.1",
        port=options.port,
        server_hostname=options.name,
        ssl=tls,
        max_size=None,
        subprotocols=["chat"],
    ) as talk:
        hear = lambda: asyncio.wait_for(talk.recv(), PATIENCE)
        first = await hear()
        same = []
        for size in sizes:
            message = os.urandom(size)
            await talk.send(message)
            same.append(await hear() == message)
        await talk.send("größer ∞")
        text = await hear()
        await asyncio.wait_for(await talk.ping(), PATIENCE)
        await talk.close(4001, "enough")
        closed = talk.close_code
    return {"first": first, "same": same, "text": text, "pong": True, "protocol": talk.subprotocol, "closed": closed}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--name", required=True)
    print(json.dumps(asyncio.run(talk_to(parser.parse_args()))))


if __name__ == "__main__":
    main()

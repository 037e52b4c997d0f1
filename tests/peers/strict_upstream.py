"""An HTTP/1.1 upstream that reads every octet with h11, strictly, and says what it saw.

The first line of standard output is the port; then a JSON line for each whole request, before it is answered, and one for each
connection whose octets are no HTTP. Unfinished requests are not mentioned.
"""

import argparse
import json
import socket
import threading

import h11

PIECE_BYTES = 64 << 10


def say(**event):
    print(json.dumps(event), flush=True)


def serve(stream):
    connection = h11.Connection(h11.SERVER)
    try:
        while answer_one(stream, connection):
            connection.start_next_cycle()
    except h11.RemoteProtocolError as error:
        # An end in the middle of a message is the door giving up, not octets that are wrong.
        if not str(error).startswith("peer "):
            say(event="refused", error=str(error))
    except OSError:
        pass
    finally:
        stream.close()


def answer_one(stream, connection):
    """Reads and answers a request; false if there is none, or no other can follow."""
    request, octets = None, 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(stream.recv(PIECE_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            octets += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return False
    method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
    say(event="request", method=method, target=target, octets=octets)
    body = b"taken\n"
    head = h11.Response(status_code=200, headers=[("Content-Length", str(len(body)))])
    for event in (head, h11.Data(data=b"" if method == "HEAD" else body), h11.EndOfMessage()):
        stream.sendall(connection.send(event))
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--listen", default="127.0.0.1")
    listener = socket.create_server((arguments.parse_args().listen, 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream,), daemon=True).start()


if __name__ == "__main__":
    main()

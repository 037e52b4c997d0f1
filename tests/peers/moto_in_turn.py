"""moto's server, one request after the other: it compares and writes in two steps, so that of several writers at once two could win."""

import threading

from moto import server

run = server.run_simple


def in_turn(host, port, app, **options):
    turn = threading.Lock()

    def answer(environ, start_response):
        with turn:
            return app(environ, start_response)

    run(host, port, answer, **options)


server.run_simple = in_turn
server.main()

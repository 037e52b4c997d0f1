"""A person at a terminal: runs a command on a terminal of its own, follows a script of what to wait for and what to type, and prints
what was seen and how it ended as JSON.

terminal.py SCRIPT COMMAND…, where SCRIPT is a JSON list of [text to wait for, keys to type].
"""

import json
import os
import pty
import select
import sys
import time

PATIENCE = 20


def main():
    script = json.loads(sys.argv[1])
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    seen = ""
    looked_at = 0
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if script and (found := seen.find(script[0][0], looked_at)) >= 0:
            looked_at = found + len(script[0][0])
            os.write(terminal, script.pop(0)[1].encode())
            continue
        readable, _, _ = select.select([terminal], [], [], 0.1)
        if not readable:
            continue
        try:
            octets = os.read(terminal, 65536)
        except OSError:
            octets = b""
        if not octets:
            break
        seen += octets.decode(errors="replace")
    else:
        os.kill(pid, 9)
    _, status = os.waitpid(pid, 0)
    print(json.dumps({"seen": seen, "left": script, "code": os.waitstatus_to_exitcode(status)}))


main()

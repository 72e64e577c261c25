#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that answers as gdb's debug adapter does, with a target that is not there.

What it is told to do differently are gdb commands, and so come in the configuration:

- ``refuse-continue``: it does not go on until breakpoints have been set twice, as with one where no memory is;
- ``refuse-second``: it does not go on while breakpoints have been set once;
- ``die``: it ends as soon as it is asked for modules.

It never answers an ``evaluate`` of ``hang``, and nothing else from then on.
"""

import json
import sys
import threading

if "--version" in sys.argv:
    print("GNU gdb (pretended) 18.1")
    sys.exit()

CHANNEL = sys.stdout.buffer
SET = {"breakpoints": 0}
MISHAP = "Cannot insert breakpoint 1.\nCannot access memory at address 0x10"


def say(**message):
    body = json.dumps({"seq": 0, **message}).encode()
    CHANNEL.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    CHANNEL.flush()


def stopped(reason):
    say(type="event", event="stopped", body={"reason": reason, "threadId": 7, "allThreadsStopped": True})


def answer(command, arguments):
    """The answer's body, or a text: why there is none."""
    if command == "threads":
        return {"threads": [{"id": 7, "name": "CPU 0"}]}
    if command == "continue":
        refused = (0, 1) if "refuse-continue" in sys.argv else (1,) if "refuse-second" in sys.argv else ()
        if SET["breakpoints"] in refused:
            return MISHAP
    if command == "setInstructionBreakpoints":
        SET["breakpoints"] += 1
        return {"breakpoints": [{"id": 1, "verified": True} for _each in arguments["breakpoints"]]}
    if command == "evaluate":
        if arguments["expression"] == "hang":
            threading.Event().wait()
        return {"result": arguments["expression"], "variablesReference": 0}
    if command == "modules" and "die" in sys.argv:
        sys.exit()
    return {}


while header := sys.stdin.buffer.readline():
    sys.stdin.buffer.readline()
    request = json.loads(sys.stdin.buffer.read(int(header.split()[1])))
    command = request["command"]
    body = answer(command, request.get("arguments", {}))
    rest = {"success": False, "message": body} if isinstance(body, str) else {"success": True, "body": body}
    say(type="response", request_seq=request["seq"], command=command, **rest)
    if command == "configurationDone":
        stopped("attach")
    elif command == "pause":
        stopped("pause")
    elif command == "disconnect":
        break

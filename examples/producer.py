#!/usr/bin/env python3
"""Adds one user-created event over a bare socket: no packages needed.

    IMSYNC_SDK_APP_ID=1400000000 python3 examples/producer.py alice Alice https://example.com/a.png

Prints the event's ID once Redis has it. Reads IMSYNC_SDK_APP_ID and IMSYNC_REDIS_URL (redis://, with a
password and a database if need be). Exit codes: 0 done, 1 Redis refused or is away, 2 wrong usage.
"""

import os
import socket
import sys
from urllib.parse import unquote, urlsplit


def command(*words):
    """One command as Redis reads it (RESP): the number of words, then each with its length in bytes."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode("utf-8")
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def answer(stream):
    """The text of one simple, bulk or integer reply; an error is raised."""
    line = stream.readline().rstrip(b"\r\n").decode("utf-8")
    if line == "":
        raise ConnectionError("Redis closed the connection")
    kind, rest = line[0], line[1:]
    if kind == "-":
        raise RuntimeError(rest)
    if kind == "$":
        return stream.read(int(rest) + 2)[:-2].decode("utf-8")
    return rest


def add(app_id, url, user_id, nick="", face_url=""):
    """Adds the event and returns its ID. `user_id` is a text: a large number would lose digits on its way."""
    if not isinstance(user_id, str) or not 1 <= len(user_id.encode("utf-8")) <= 32:
        raise ValueError("the user ID must be a text of 1 to 32 bytes; strip the dashes of a UUID")
    where = urlsplit(url)
    fields = ["userId", user_id]
    for name, value in (("nick", nick), ("faceUrl", face_url)):
        if value:
            fields += [name, value]
    with socket.create_connection((where.hostname, where.port or 6379), timeout=5) as connection:
        stream = connection.makefile("rb")
        if where.password:
            login = [unquote(part) for part in (where.username, where.password) if part]
            connection.sendall(command("AUTH", *login))
            answer(stream)
        if where.path.strip("/"):
            connection.sendall(command("SELECT", where.path.strip("/")))
            answer(stream)
        connection.sendall(command("XADD", "{imsync:%s}:user-created" % app_id, "*", *fields))
        return answer(stream)


if __name__ == "__main__":
    app_id = os.environ.get("IMSYNC_SDK_APP_ID", "")
    if not 2 <= len(sys.argv) <= 4 or not app_id.isdigit():
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        print(add(app_id, os.environ.get("IMSYNC_REDIS_URL") or "redis://127.0.0.1:6379", *sys.argv[1:]))
    except (OSError, RuntimeError, ValueError) as error:
        print(f"not added: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ValueError) else 1)

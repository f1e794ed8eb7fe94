"""A client for wakeful's local socket: standard library only, one object a line, JSON-RPC 2.0.

    from wakeful import Wakeful
    with Wakeful() as wakeful:
        wakeful.send("work", "alice", "on my way")
        for row in wakeful.find(account="work", conversation="alice").sort("desc").limit(20):
            print(row["message"]["text"])
        for event in wakeful.subscribe():          # a connection of its own, for ever
            print(event["params"])
"""

import json
import os
import socket
import sys


class WakefulError(Exception):
    """The daemon refused: `code` is stable, `remedy` says what to do, `reopen` goes on where a lost cursor stood."""

    def __init__(self, error):
        data = error.get("data") or {}
        super().__init__(error.get("message", "refused"))
        self.code = data.get("code")
        self.remedy = data.get("remedy")
        self.reopen = data.get("reopen")


def default_path():
    """Where the daemon listens."""
    home = os.environ.get("WAKEFUL_HOME")
    if home:
        return os.path.join(home, "run", "socket")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/wakeful/socket")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return os.path.join(runtime, "wakeful", "socket")
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "wakeful", "socket")


class Wakeful:
    """One connection. Requests are answered one after another; subscriptions open a connection of their own."""

    def __init__(self, path=None):
        self.path = path or default_path()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(self.path)
        self._file = self._socket.makefile("rb")
        self._last = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()
        self._socket.close()

    def _read(self):
        line = self._file.readline()
        if not line:
            raise ConnectionError("the daemon ended the connection")
        return json.loads(line)

    def call(self, method, **params):
        """Carries out one request; raises WakefulError when it is refused."""
        self._last += 1
        request = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._read()
            if answer.get("id") == self._last and "method" not in answer:
                break
        if "error" in answer:
            raise WakefulError(answer["error"])
        return answer["result"]

    def status(self):
        return self.call("status")

    def send(self, account, conversation, text, **more):
        """Returns when the message is durably in the outbox. Give `id` (a UUID) to repeat it safely."""
        return self.call("send", account=account, conversation=conversation, text=text, **more)

    def find(self, **find):
        """A cursor over history; nothing is asked until its first row is wanted."""
        return Cursor(self, find)

    def attention(self, conversation=None, idle=False):
        """Says what is on screen; holds 30 s."""
        return self.call("attention.set", conversation=conversation, idle=idle)

    def subscribe(self, **ask):
        """Every committed change, for ever. Keep the last `seq` and pass it as `after` to go on without gap or double."""
        with Wakeful(self.path) as own:
            own.call("subscribe", **ask)
            while True:
                notification = own._read()
                if notification.get("method") in ("event", "resync", "fleeting"):
                    yield notification


class Cursor:
    """Rows of history, read in batches as they are wanted: next, has_next, for_each, to_vec; sort, limit, skip."""

    def __init__(self, wakeful, find):
        self._wakeful = wakeful
        self._open = {"find": dict(find)}
        self._cursor = None
        self._fresh = True
        self._rows = []
        self.notes = []
        self.waiting = None
        self.seq = None
        self.token = None

    def _set(self, where, key, value):
        if not self._fresh:
            raise RuntimeError("the cursor is open: options come before the first row")
        where[key] = value
        return self

    def sort(self, order):
        """`desc` (newest first), `asc` or `rank`."""
        return self._set(self._open["find"], "sort", order)

    def limit(self, rows):
        return self._set(self._open["find"], "limit", rows)

    def skip(self, rows):
        return self._set(self._open["find"], "skip", rows)

    def batch_size(self, rows):
        return self._set(self._open, "batch", rows)

    def tail(self):
        return self._set(self._open, "tail", True)

    def no_timeout(self):
        return self._set(self._open, "no_timeout", True)

    def holes(self, what):
        """`report` or `fetch`."""
        return self._set(self._open, "holes", what)

    def resume(self, token):
        self._set(self._open, "token", token)
        return self._set(self._open, "find", {})

    def _fetch(self):
        if self._fresh:
            self._fresh = False
            return self._wakeful.call("cursor.open", **self._open)
        try:
            more = {key: self._open[key] for key in ("batch",) if self._open.get(key)}
            return self._wakeful.call("cursor.next", cursor=self._cursor, **more)
        except WakefulError as error:
            if error.code != "cursor_not_found" or not (error.reopen or self.token):
                raise
            again = {**self._open, "find": {}, "token": error.reopen or self.token}
            return self._wakeful.call("cursor.open", **again)

    def has_next(self):
        while not self._rows:
            if not self._fresh and self._cursor is None:
                return False
            batch = self._fetch()
            self._cursor = batch["cursor"]
            self._rows = batch["rows"][::-1]
            self.notes += batch.get("notes", [])
            self.waiting = batch.get("waiting")
            self.seq = batch["seq"] if self.seq is None else self.seq
            self.token = batch["token"]
            if not self._rows and isinstance(self.waiting, dict) and "offline" in self.waiting:
                self._rows = [{"hole": self.waiting["offline"]}]
                self.close()
        return True

    def next(self):
        """The next row, `{"message": ...}` or `{"hole": ...}`; None when there is no more."""
        return self._rows.pop() if self.has_next() else None

    def __iter__(self):
        while self.has_next():
            yield self._rows.pop()

    def for_each(self, each):
        """Calls `each` with every row until it returns False."""
        for row in self:
            if each(row) is False:
                break

    def to_vec(self, limit):
        """All rows; more than `limit` are an error, so that memory stays bounded."""
        rows = []
        for row in self:
            if len(rows) == limit:
                raise OverflowError(f"there are more than {limit} rows")
            rows.append(row)
        return rows

    def close(self):
        if self._cursor is not None:
            self._wakeful.call("cursor.close", cursor=self._cursor)
        self._cursor, self._fresh = None, False

"""Shows and checks the Python client against a daemon: selftest.py SOCKET ACCOUNT CONVERSATION COUNT.

The conversation holds COUNT messages whose texts are their numbers from 0 on."""

import sys
from wakeful import Wakeful, WakefulError

path, account, conversation, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
with Wakeful(path) as wakeful:
    def find():
        return wakeful.find(account=account, conversation=conversation)

    def texts(rows):
        return [row["message"]["text"] for row in rows]

    everything = [str(n) for n in range(count)]
    assert texts(find().sort("asc").batch_size(7)) == everything
    assert texts(find().limit(3).to_vec(3)) == everything[::-1][:3]
    assert texts(find().sort("asc").skip(2).limit(2)) == everything[2:4]
    cursor = find().sort("asc").batch_size(2)
    assert cursor.has_next() and cursor.next()["message"]["text"] == "0"
    seen = []
    cursor.for_each(lambda row: seen.append(row) or len(seen) < 3)
    assert texts(seen) == everything[1:4]
    cursor.close()
    assert not cursor.has_next() and cursor.next() is None
    try:
        wakeful.call("cursor.next", cursor=4711)
        raise SystemExit("an unknown cursor was accepted")
    except WakefulError as error:
        assert error.code == "cursor_not_found" and error.remedy
    seq = wakeful.status()["seq"]
    events = wakeful.subscribe(after=seq, kinds=["message"])
    sent = wakeful.send(account, conversation, "from python")
    event = next(events)["params"]
    assert event["message"]["text"] == "from python" and event["id"] == sent["id"]
print("ok")

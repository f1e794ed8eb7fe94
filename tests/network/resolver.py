"""A resolver that says of every name what a file says (A records, TTL 1; nothing for other types).

    resolver.py ADDRESS FILE
"""

import pathlib
import socket
import struct
import sys

address, file = sys.argv[1:3]
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((address, 53))
print("ready", flush=True)
while True:
    query, asker = door.recvfrom(512)
    end = 12
    while query[end]:
        end += query[end] + 1
    question, kind = query[12 : end + 5], struct.unpack("!H", query[end + 1 : end + 3])[0]
    said = socket.inet_aton(pathlib.Path(file).read_text().strip()) if kind == 1 else b""
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + said if said else b""
    door.sendto(query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, bool(said), 0, 0) + question + answer, asker)

"""A bad wire between two network namespaces: delays, drops and doubles IP packets (jitter also reorders them).

    lossy.py NETNS=ADDRESS/PREFIX NETNS=ADDRESS/PREFIX DELAY_MS JITTER_MS LOSS TWICE SEED

Each namespace gets a TUN device `wire0` with its address. Prints "ready", then runs until it is ended. It stands in
for `tc netem`, which many kernels lack.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


def open_end(libc, namespace, address):
    with open(f"/var/run/netns/{namespace}") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", b"wire0", IFF_TUN_NO_PI))
    subprocess.run(["ip", "addr", "add", address, "dev", "wire0"], check=True)
    subprocess.run(["ip", "link", "set", "wire0", "up"], check=True)
    return end


def main():
    left, right = (end.split("=") for end in sys.argv[1:3])
    delay, jitter, loss, twice = (float(number) for number in sys.argv[3:7])
    dice = random.Random(int(sys.argv[7]))
    libc = ctypes.CDLL(None, use_errno=True)
    ends = [open_end(libc, *left), open_end(libc, *right)]
    across = {ends[0]: ends[1], ends[1]: ends[0]}
    print("ready", flush=True)
    waiting, number = [], 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(to, packet)
            except OSError:
                pass
        patience = max(0, waiting[0][0] - now) if waiting else None
        for end in select.select(ends, [], [], patience)[0]:
            try:
                packet = os.read(end, 65536)
            except BlockingIOError:
                continue
            if dice.random() < loss:
                continue
            for _ in range(2 if dice.random() < twice else 1):
                number += 1
                due = time.monotonic() + (delay + dice.random() * jitter) / 1000
                heapq.heappush(waiting, (due, number, across[end], packet))


main()

"""What every Python under a DAG imports first: a program of the project is handed over to the server at WARM."""

import os
import sys

words = sys.orig_argv[1:]
further = {
    "LOCAL_RANK",
    "NNENRICH_FIRST_PROCESS",
} & os.environ.keys()  # of a training: its parent waits for this process
if "WARM" in os.environ and words[:1] == ["-m"] and words[1].split(".")[0] in ("enrich", "gan") and not further:
    import json
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.environ["WARM"])
        task = {"module": words[1], "arguments": words[2:], "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
        socket.send_fds(server, [b"!"], [0, 1, 2])
        server.sendall(json.dumps(task).encode())
        server.shutdown(socket.SHUT_WR)
        said = server.recv(1)
    os._exit(said[0] if said else 70)

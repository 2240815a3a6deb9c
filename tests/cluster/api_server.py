"""A Kubernetes API server of this machine alone, which notes the jobs that it is sent."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

Job = dict[str, Any]
"""As it is sent."""


@contextmanager
def api_server(folder: Path, pod: Callable[[Job], bool]) -> Iterator[tuple[Path, list[Job]]]:
    """Listen on the loopback address; yield a kubeconfig that leads here, and the jobs that were sent, as they come.

    `pod` does what a job's pod would, and returns whether it succeeded.
    """
    jobs: list[Job] = []
    succeeded: dict[str, bool] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/jobs"):
                jobs.append(sent)
                succeeded[sent["metadata"]["name"]] = pod(sent)
            self.answer(sent)

        def do_GET(self) -> None:
            name = self.path.split("?")[0].removesuffix("/status").rsplit("/", 1)[1]
            if name in succeeded:
                self.answer({"kind": "Job", "status": {"succeeded" if succeeded[name] else "failed": 1}})
            else:  # a job's pods: they are gone
                self.answer({"kind": "PodList", "items": []})

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.answer({"kind": "Status", "status": "Success"})

        def answer(self, body: Job) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "current-context": "here",
                    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
                    "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                    "users": [{"name": "me", "user": {}}],
                }
            )
        )
        yield kubeconfig, jobs
    finally:
        server.shutdown()
        server.server_close()

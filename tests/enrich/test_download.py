"""Downloads from a server on the loopback address that behaves as badly as real ones."""

import hashlib
import http.server
import io
import json
import re
import shutil
import threading
import zipfile

import numpy as np
import pytest

from enrich import download
from gan.errors import InputError
from tests.test_workflow import ROOT, copy_project, snakemake

NOISE = np.random.default_rng(0).bytes(3_000_000)


def packed(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; breaks off after `pieces` bytes of each answer, and honours ranges unless told otherwise."""

    def __init__(self, content, pieces=None, ranges=True, statuses=()):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.pieces, self.ranges, self.statuses = content, pieces, ranges, list(statuses)
        self.starts = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/scans.zip"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) if server.ranges else 0
        server.starts.append(start)
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.end_headers()
            return
        rest = server.content[start:]
        self.send_response(206 if server.ranges else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.pieces])

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda _: None)


@pytest.fixture
def archive():
    return packed(**{"Train_Sets/CT/1/a.dcm": NOISE, "Train_Sets/MR/1/b.dcm": b"b"})


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_an_archive_is_fetched_checked_and_unpacked(archive, tmp_path):
    with Server(archive) as server:
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    assert (tmp_path / "CHAOS/Train_Sets/CT/1/a.dcm").read_bytes() == NOISE
    assert (tmp_path / "CHAOS/download.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"CHAOS"}


def test_a_server_that_breaks_off_is_asked_to_go_on(archive, tmp_path):
    with Server(archive, pieces=1_200_000) as server:
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
        assert server.starts == [0, 1_200_000, 2_400_000]
    assert (tmp_path / "CHAOS/Train_Sets/CT/1/a.dcm").read_bytes() == NOISE


def test_a_download_goes_on_in_a_later_run(archive, tmp_path):
    (tmp_path / "CHAOS.zip.part").write_bytes(archive[:1_000_000])
    with Server(archive) as server:
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
        assert server.starts == [1_000_000]
    assert (tmp_path / "CHAOS/Train_Sets/MR/1/b.dcm").read_bytes() == b"b"


def test_a_server_without_ranges_is_read_from_the_start(archive, tmp_path):
    (tmp_path / "CHAOS.zip.part").write_bytes(archive[:1_000_000])
    with Server(archive, ranges=False) as server:
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    assert (tmp_path / "CHAOS/Train_Sets/CT/1/a.dcm").read_bytes() == NOISE


def test_an_archive_that_arrived_whole_is_not_fetched_again(archive, tmp_path):
    """As after a kill while it was checked or unpacked."""
    (tmp_path / "CHAOS.zip.part").write_bytes(archive)
    with Server(archive) as server:
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
        assert server.starts == []
    assert (tmp_path / "CHAOS/Train_Sets/CT/1/a.dcm").read_bytes() == NOISE
    assert {path.name for path in tmp_path.iterdir()} == {"CHAOS"}


def test_the_server_may_say_that_nothing_is_left(archive, tmp_path):
    with Server(archive) as server:
        download.fetch(server.url, tmp_path / "part")
        download.fetch(server.url, tmp_path / "part")
        assert server.starts == [0, len(archive)]
    assert (tmp_path / "part").read_bytes() == archive


@pytest.mark.parametrize("more", [b"", b"x"])
def test_another_file_as_long_as_the_archive_or_longer_is_deleted(archive, tmp_path, more):
    (tmp_path / "CHAOS.zip.part").write_bytes(bytes(len(archive)) + more)
    with Server(archive) as server:
        with pytest.raises(
            InputError, match=rf"sha256 \w+ of what arrived \(now deleted\), expected {digest(archive)}"
        ):
            download.download(server.url, digest(archive), tmp_path / "CHAOS")
        assert list(tmp_path.iterdir()) == []
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    assert (tmp_path / "CHAOS/download.json").is_file()


def test_nothing_of_an_empty_file_is_a_refusal(tmp_path):
    with Server(b"") as server, pytest.raises(InputError, match="HTTP status 416"):
        download.download(server.url, digest(b"x"), tmp_path / "CHAOS")


def test_a_server_that_is_busy_is_asked_again(archive, tmp_path):
    with Server(archive, statuses=[503, 429, 500]) as server:
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    assert (tmp_path / "CHAOS/download.json").is_file()


def test_another_file_is_refused_and_deleted(archive, tmp_path):
    with (
        Server(archive[:-1] + b"x") as server,
        pytest.raises(InputError, match=rf"sha256 .*, expected {digest(archive)}"),
    ):
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_or_says_nothing(archive, tmp_path):
    with Server(archive, statuses=[404]) as server, pytest.raises(InputError, match="HTTP status 404"):
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    with (
        Server(archive, pieces=0) as server,
        pytest.raises(InputError, match=r"found 0 bytes, then .*kept to go on from"),
    ):
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    with pytest.raises(InputError, match="refused"):
        download.download(server.url, digest(archive), tmp_path / "CHAOS")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed(**{"../out.txt": b"x"}), r"found the member '\.\./out\.txt'"),
        (packed(**{"/tmp/out.txt": b"x"}), "found the member '/tmp/out.txt'"),
        (packed(**{"a\\..\\..\\out.txt": b"x"}), "found the member"),
        (packed(**{"bomb": bytes(10_000_000)}), "10000000 bytes unpacked"),
        (b"no archive", "an unreadable archive"),
    ],
)
def test_an_archive_that_would_do_harm_is_not_unpacked(content, message, tmp_path):
    with Server(content) as server, pytest.raises(InputError, match=message):
        download.download(server.url, digest(content), tmp_path / "inside" / "CHAOS")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["CHAOS.zip.part"]


def test_a_link_in_an_archive_is_refused(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc")
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    with pytest.raises(InputError, match="found the member 'link'"):
        download.unpack(tmp_path / "a.zip", tmp_path / "out")


def test_files_of_the_user_stay(archive, tmp_path):
    (tmp_path / "CHAOS").mkdir()
    (tmp_path / "CHAOS" / "mine").touch()
    with Server(archive) as server, pytest.raises(InputError, match="a folder with files"):
        download.download(server.url, digest(archive), tmp_path / "CHAOS")
    assert (tmp_path / "CHAOS" / "mine").is_file()


def test_a_folder_with_the_record_of_the_archive_is_done(archive, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = tmp_path / "CHAOS"
    with Server(archive) as server:
        download.download(server.url, digest(archive), folder)
        written = (folder / "download.json").stat().st_mtime_ns
        download.download(server.url, digest(archive), folder)
        assert server.starts == [0]
    assert (folder / "download.json").stat().st_mtime_ns == written
    assert f"{folder}: the archive was unpacked here before" in caplog.text
    with pytest.raises(InputError, match="found a folder with files"):
        download.download("http://127.0.0.1", digest(b"another"), folder)
    (folder / "download.json").write_text("[]")
    with pytest.raises(InputError, match=r"download\.json: found no readable file"):
        download.download("http://127.0.0.1", digest(archive), folder)


def test_snakemake_leaves_the_record_of_the_program_alone(tmp_path):
    """Whether results are there or not, and for a second study of the same scans."""
    copy_project(tmp_path)
    rules = (ROOT / "workflow/rules/download.smk").read_text()
    record = tmp_path / "data/download.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"sha256": re.search(r'CHAOS_SHA256 = "(\w+)"', rules)[1]}))
    written = record.stat().st_mtime_ns
    scans = {"data": {"reader": "chaos", "folder": "data"}, "modalities": ["ct", "t1"], "target": "liver"}
    for run in ("first", "second", "second"):
        done = snakemake(tmp_path, "download_chaos", config=scans | {"methods": {"stargan": {}}, "run": run})
        assert done.returncode == 0, done.stderr
        log = tmp_path / f"results/{run}/logs/download_chaos.log"
        assert "unpacked here before" in log.read_text()
        assert record.stat().st_mtime_ns == written
        log.unlink()
        if run == "first":
            shutil.rmtree(tmp_path / "results")

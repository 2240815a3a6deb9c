"""Archives: unpacked below their folder and nowhere else, or refused."""

import io
import struct
import zipfile
import zlib

import pytest

from enrich.download import unpack
from gan.errors import InputError
from tests.faults.mutations import cut_short, damages
from tests.faults.trials import INPUT, OUTPUT, Trial, require_good

SOUND = {"CT/1/a.dcm": b"slice" * 100, "CT/1/b.dcm": b"slice" * 90, "README": b"read me"}
NAMES = (
    *(
        "../out",
        "../../out",
        "/tmp/nnenrich-out",
        "a/../../../out",
        "..\\..\\out",
        "C:\\out",
        "a\nb",
        "a\0b",
        "",
        ".",
        "..",
    ),
    *(
        "a/",
        "ä b",
        "a" * 300,
        "/".join("a" * 5000),
        "CT/1/a.dcm/x",
        "CT",
        "~/out",
        "$HOME/out",
        "//out",
        "\\\\host\\out",
    ),
)


def packed(files, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name or zipfile.ZipInfo(name), content)
    return stream.getvalue()


def of(content):
    def attempt(folder):
        (folder / INPUT / "a.zip").write_bytes(content)
        unpack(folder / INPUT / "a.zip", folder / OUTPUT)
        for name, told in SOUND.items():
            assert (folder / OUTPUT / name).read_bytes() == told

    return attempt


def changed(content, before, after):
    assert before in content
    return content.replace(before, after)


def test_archives(tmp_path, record_property):
    content = packed(SOUND)
    stored = packed({"README": b"read me"}, zipfile.ZIP_STORED)
    sizes = struct.pack("<II", len(zlib.compress(SOUND["CT/1/a.dcm"])[2:-4]), len(SOUND["CT/1/a.dcm"]))
    trials = [Trial("sound", of(content))]
    trials += [Trial(f"member {name[:20]!r}", of(packed(SOUND | {name: b"x"}))) for name in NAMES]
    trials += [Trial(name, of(part)) for name, part in [*cut_short(content), *damages(content, 120)]]
    trials += [
        Trial("a bomb", of(packed(SOUND | {"bomb": bytes(200_000_000)}))),
        Trial("a bomb of bzip2", of(packed(SOUND | {"bomb": bytes(100_000_000)}, zipfile.ZIP_BZIP2))),
        Trial("a bomb of LZMA", of(packed(SOUND | {"bomb": bytes(100_000_000)}, zipfile.ZIP_LZMA))),
        Trial("sizes that are none", of(changed(content, sizes[4:], struct.pack("<I", 0xFFFFFFF0)))),
        Trial("smaller than it is", of(changed(content, sizes[4:], struct.pack("<I", 1)))),
        Trial("another packing", of(content.replace(b"\x08\x00", b"\x63\x00"))),
        Trial("a password", of(stored.replace(b"\x14\x00\x00\x00\x00\x00", b"\x14\x00\x01\x00\x00\x00"))),
        Trial("an archive in itself", of(packed(SOUND | {"a.zip": content}))),
    ]
    found = {outcome.name: outcome.kind for outcome in require_good(trials, tmp_path, record_property)}
    assert found["sound"] == "accepted"


def test_what_inflates_far_beyond_its_size_is_not_unpacked(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(packed({"large": bytes(1 << 26)}))
    with pytest.raises(InputError, match=r"found \d+ bytes unpacked, expected at most"):
        unpack(archive, tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()

"""Configs as YAML: completed and checked in time, or refused in one line that names the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from enrich.config import record, refuse_overwriting, resolve
from gan.reading import read_yaml
from tests.faults.mutations import cut_short, damages
from tests.faults.trials import INPUT, OUTPUT, Trial, require_good

ROOT = Path(__file__).parents[2]
SOUND = (ROOT / "workflow" / "config" / "phantom.yaml").read_bytes()


def laughs(kind):
    """Return a config of nine aliases of nine aliases, nine times."""
    lists = {"list": "[{}]", "map": "{{{}}}"}[kind]
    lines = [f"a0: &a0 {lists.format('x: 1' if kind == 'map' else 'x')}"]
    for level in range(1, 10):
        parts = [f"{chr(97 + n)}: *a{level - 1}" if kind == "map" else f"*a{level - 1}" for n in range(9)]
        lines.append(f"a{level}: &a{level} " + lists.format(", ".join(parts)))
    return ("\n".join(lines) + "\n").encode()


def merges():
    """Return a config whose maps merge eight times the one before, nine times."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 8)}]}}" for level in range(1, 10)]
    return ("\n".join(lines) + "\n").encode()


def given(text):
    return SOUND + text.encode()


ODD = {
    "aliases of aliases, lists": laughs("list"),
    "aliases of aliases, maps": laughs("map"),
    "merges of merges": merges(),
    "an alias of itself": b"methods: &m {targan: *m}\n",
    "a key twice": given("run: a\nrun: b\n"),
    "a key twice below": given("gpu: {a: 1, a: 2}\n"),
    "nested lists": b"[" * 100_000,
    "nested maps": b"{a: " * 20_000,
    "nested by blanks": "".join(f"{' ' * n}a:\n" for n in range(3000)).encode(),
    "code": b"run: !!python/object/apply:os.system ['touch ../../spilled']\n",
    "a tab": b"run:\n\t- a\n",
    "zeros": bytes(100),
    "UTF-16": SOUND.decode().encode("utf-16"),
    "Latin-1": "run: \u00e4\n".encode("latin-1"),
    "a byte order mark": b"\xef\xbb\xbf" + SOUND,
    "a list": b"- 1\n- 2\n",
    "a text": b"text",
    "empty": b"",
    "two documents": b"a: 1\n---\nb: 2\n",
    "a map as a key": b"{{a: 1}: 2}\n",
    "a list as a key": b"[1]: 2\n",
    "a number as a key": given("1: 2\n"),
    "a huge number": given("image_size: " + "9" * 5000 + "\n"),
    "a huge file": b"# " + b"x" * (1 << 27),
    "a date": given("run: 2020-01-01\n"),
    "a bad date": given("run: 2020-99-99\n"),
    "a merge of nothing": given("<<: 1\n"),
    "an unknown anchor": given("x: *nothing\n"),
    "an octal": given("threads: 0o7\n"),
    "not finite": given("image_size: .inf\n"),
    "not a number": given("image_size: .nan\n"),
}
KEYS = [
    "run",
    "data",
    "modalities",
    "target",
    "methods",
    "controls",
    "seeds",
    "image_size",
    "split",
    "nnunet",
    "intensity",
]
VALUES = (
    None,
    True,
    0,
    -1,
    1e308,
    "",
    "x",
    "../x",
    "a b",
    "a\nb",
    "/",
    [],
    {},
    [[]],
    [None],
    {"x": None},
    {1: 2},
    "[1",
)


def of(content):
    def attempt(folder):
        path = folder / INPUT / "study.yaml"
        path.write_bytes(content)
        config = resolve(read_yaml(path, "the config of a study"), path)
        results = folder / OUTPUT / config["run"]
        assert results.parent == folder / OUTPUT
        refuse_overwriting(config, results)
        record(config, results)
        assert yaml.safe_load((results / "config.yaml").read_text())["run"] == config["run"]

    return attempt


def test_configs(tmp_path, record_property):
    sound = yaml.safe_load(SOUND)
    trials = [Trial(name, of(content)) for name, content in ODD.items()]
    trials += [Trial(name, of(changed)) for name, changed in [*cut_short(SOUND), *damages(SOUND, 60)]]
    trials += [
        Trial(f"{key} {value!r}", of(yaml.safe_dump(sound | {key: value}).encode())) for key in KEYS for value in VALUES
    ]
    trials.append(Trial("sound", of(SOUND)))
    found = {outcome.name: outcome.kind for outcome in require_good(trials, tmp_path, record_property)}
    assert found["sound"] == "accepted"
    assert [name for name in ODD if found[name] == "accepted"] == ["a byte order mark"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a key twice", "study.yaml: found no readable file (the key run twice"),
        ("aliases of aliases, lists", "study.yaml: found more than 100000 values"),
        ("a tab", "Config file is not valid JSON or YAML"),
    ],
)
def test_snakemake_refuses_them_too(tmp_path, name, told):
    (tmp_path / "study.yaml").write_bytes(ODD[name])
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "all", "--configfile", "study.yaml"]
    done = subprocess.run(
        [*command, "--snakefile", str(ROOT / "Snakefile")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stdout
    assert "Traceback" not in done.stdout

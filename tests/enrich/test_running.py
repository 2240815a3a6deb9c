"""What a start makes of files that a clock ahead has dated."""

import os
import time

from enrich.running import date_now

DAY_S = 86400


def test_files_of_the_future_count_as_made_now_and_others_stay(tmp_path):
    results, raw = tmp_path / "results", tmp_path / "raw.nii.gz"
    folder = results / "scans"
    folder.mkdir(parents=True)
    now = time.time()
    for path, made in ((folder / "ahead", now + DAY_S), (folder / ".ahead", now + 1), (folder / "past", now - DAY_S)):
        path.touch()
        os.utime(path, (made, made))
    raw.touch()
    os.utime(raw, (now + DAY_S, now + DAY_S))
    (folder / "link").symlink_to(raw)
    os.utime(folder / "link", (now + DAY_S, now + DAY_S), follow_symlinks=False)
    date_now(results)
    for name in ("ahead", ".ahead", "link"):
        assert now <= (folder / name).lstat().st_mtime <= time.time()
    assert abs((folder / "past").stat().st_mtime - (now - DAY_S)) < 1
    assert raw.stat().st_mtime > now + DAY_S - 1

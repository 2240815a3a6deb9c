import json
import sys

import numpy as np
import pandas as pd
import pytest

from enrich import index, published
from enrich.columns import TABLES
from enrich.tables import ablation, crossfit, translation
from enrich.tables.layout import latex, markdown
from enrich.tables.translations import (
    MEAN,
    METRICS,
    of_fit,
    read,
    summarize,
    summarize_distances,
)
from gan.errors import InputError
from tests.enrich.tables.conftest import printed_rows

MODALITIES = ["ct", "t1", "t2"]
PATIENTS = {"ct": ["c0", "c1"], "t1": ["m0"], "t2": ["m0"]}
METHODS = {"targan": {}, "stargan": {}}


def score(source, target, patient, seed=0, method="targan", fit="all", **metrics):
    keys = {"patient": patient, "case": patient, "source": source, "target": target, "method": method, "fit": fit}
    return keys | {"seed": seed} | dict.fromkeys(METRICS, np.nan) | metrics


@pytest.fixture
def scores():
    """S-scores by target of two methods: TarGAN's 60 from CT and 80 or 90 from MR, StarGAN's 50; ceiling and floor."""
    rows = []
    for target in MODALITIES:
        rows += [score(target, target, p, method="real", fit="", s_score_percent=95.0) for p in PATIENTS[target]]
        for source in set(MODALITIES) - {target}:
            for patient in PATIENTS[source]:
                for seed in (0, 1):
                    value = 60.0 + 10 * (patient == "c1") if source == "ct" else 80.0 + 10 * seed
                    mi = {"mi_nats": 0.5, "slice_consistency": 1.25}
                    rows.append(score(source, target, patient, seed, s_score_percent=value, **mi))
                    rows.append(score(source, target, patient, seed, "stargan", s_score_percent=50.0, **mi))
                rows.append(score(source, target, patient, method="copy", fit="", s_score_percent=10.0))
    return pd.DataFrame(rows)


@pytest.fixture
def distances():
    return pd.DataFrame(
        {"source": source, "target": target, "method": method, "seed": seed, "fit": "all", "backbone": "segmenter"}
        | {"outer": 0, "features": 32, "n_real": 40, "n_fake": 20 if source == "ct" else 60}
        | {"fid": fid + seed * 0.2 + (source == "ct"), "kid": -0.01}
        for target in MODALITIES
        for source in MODALITIES
        if source != target
        for seed in (0, 1)
        for method, fid in (("targan", 1.0), ("stargan", 2.0))
    )


@pytest.fixture
def three(study):
    def make(**keys):
        return study(**({"modalities": MODALITIES, "methods": METHODS} | keys))

    return make


def of(summary, **keys):
    (row,) = summary[(summary[list(keys)] == pd.Series(keys)).all(axis=1)].to_dict("records")
    return row


def test_a_source_counts_once_whatever_its_patients(scores, three):
    summary = summarize(scores, three())
    row = of(summary, method="targan", modality="t1", metric="s_score_percent", translated_from=MEAN)
    # from CT (60 + 70) / 2 = 65, from T2 (80 + 90) / 2 = 85
    assert (row["mean"], row["n"], row["seeds"]) == (75, 3, 2)
    assert row["std"] == pytest.approx(np.std([60, 70, 85], ddof=1))
    assert row["seed_std"] == pytest.approx(np.std([(65 + 80) / 2, (65 + 90) / 2], ddof=1))
    direction = of(summary, method="targan", modality="t1", metric="s_score_percent", translated_from="ct")
    assert (direction["mean"], direction["n"]) == (65, 2)


def test_a_patient_in_several_sources_is_one_patient(scores, three):
    row = of(summarize(scores, three()), method="targan", modality="ct", metric="s_score_percent", translated_from=MEAN)
    assert (row["mean"], row["n"]) == (85, 1)
    assert np.isnan(row["std"])


def test_what_one_seed_leaves_undefined_is_undefined(scores, three):
    scores.loc[(scores["patient"] == "c0") & (scores["seed"] == 1), "s_score_percent"] = np.nan
    row = of(summarize(scores, three()), method="targan", modality="t1", metric="s_score_percent", translated_from="ct")
    assert (row["mean"], row["n"]) == (70, 1)


def test_distances_are_means_over_sources(distances, three):
    row = of(
        summarize_distances(distances, three()), method="targan", modality="t1", metric="fid", translated_from=MEAN
    )
    assert row["mean"] == pytest.approx(np.mean([1, 1.2, 2, 2.2]))
    assert row["seed_std"] == pytest.approx(np.std([1.5, 1.7], ddof=1))
    assert (row["n_real"], row["n_fake"], row["features"], row["backbone"]) == (40, 20, 32, "segmenter")


def layout(scores, distances, study, figures=()):
    parts = [summarize(scores, study), summarize_distances(distances, study), *figures]
    return translation.layout(study, pd.concat(parts))


def test_ceiling_and_floor_frame_the_methods(scores, distances, three):
    first, second = layout(scores, distances, three())
    rows = printed_rows(markdown(first))
    assert list(rows)[:6] == [
        *("*Ceiling and floor*", "Real scans (ceiling)", "Source copied (floor)"),
        *("*Methods*", "TarGAN", "StarGAN"),
    ]
    assert rows["Real scans (ceiling)"]["S-score (%) ↑ CT"] == "95.00 ± 0.00"  # never bold
    assert rows["Real scans (ceiling)"]["FID ↓ (Single's encoder, N = 20–40) CT"] == "–"
    assert rows["Source copied (floor)"]["S-score (%) ↑ T1w"] == "10.00 ± 0.00"
    assert rows["TarGAN"]["S-score (%) ↑ T1w"].startswith("**75.00 ± ")
    assert rows["TarGAN"]["FID ↓ (Single's encoder, N = 20–40) T1w"] == r"**1.6000 \[0.1414\]**"
    assert rows["TarGAN"]["KID ↓ (Single's encoder, N = 20–40) T1w"] == r"**−0.010000 \[0.000000\]**"
    assert rows["TarGAN"]["Labels used"] == "all modalities"
    assert rows["StarGAN"]["Labels used"] == "none"
    notes = " ".join(first.notes)
    assert "Figures of another backbone are not comparable" in notes
    assert "covariances are singular" in notes  # 20 samples of 32 features
    assert "not independent" in notes
    images = printed_rows(markdown(second))
    assert images["TarGAN"]["MI (nats) ↑ T1w"].startswith("**0.500")
    assert images["TarGAN"]["Slice consistency T1w"].startswith("1.250")  # neither more nor less is better
    assert images["TarGAN"]["PSNR (dB) ↑ T1w"] == "–"
    assert "Real scans (ceiling)" not in images  # nothing is defined
    assert latex(first).isascii()
    assert latex(second).isascii()


def test_published_distances_have_a_column_of_their_backbone(scores, distances, three):
    (paper,) = published.of("translation", "chaos", "liver", ["ct"])
    figures = [translation.literature(paper, MODALITIES)]
    rows = printed_rows(markdown(layout(scores, distances, three(), figures)[0]))
    theirs = rows["ReMIC"]
    assert theirs["FID ↓ (Models Genesis) T2w"] == "0.5925"
    assert theirs["FID ↓ (Single's encoder, N = 20–40) T2w"] == "–"
    assert theirs["S-score (%) ↑ T2w"] == "69.58"


def test_a_translator_without_scores_is_refused(scores, three):
    with pytest.raises(InputError, match="no translation by stargan"):
        summarize(scores[scores["method"] != "stargan"], three())
    with pytest.raises(InputError, match=r"no translation by stargan to ct, expected"):
        summarize(scores[(scores["method"] != "stargan") | (scores["target"] != "ct")], three())


def test_files_are_read_back_with_one_name_for_all_folds(scores, distances, tmp_path):
    written = scores.assign(fit=["fold1", "mean", *scores["fit"][2:]])[TABLES["translation"].columns]
    index.write(written, tmp_path / "a.csv")
    assert list(read(tmp_path / "a.csv", "translation")["fit"][:2]) == ["fold", "mean"]
    index.write(distances.assign(fit="fold0+fold2")[TABLES["distribution"].columns], tmp_path / "b.csv")
    assert set(read(tmp_path / "b.csv", "distribution")["fit"]) == {"fold"}


def test_crossfit_picks_the_fit_of_the_config(scores, three):
    both = pd.concat([scores, scores.assign(fit="mean", s_score_percent=0.0)])
    study = three(crossfit=3, crossfit_test="mean")
    assert study.test_fit == "mean"
    assert of_fit(both, study, study.test_fit).query("method == 'targan'")["s_score_percent"].max() == 0
    assert three(crossfit_test="mean").test_fit == "all"


def test_ablation_has_the_mean_over_targets(scores, three):
    summary = summarize(scores, three())
    wanted = (summary["metric"] == "s_score_percent") & (summary["translated_from"] == MEAN)
    (paper,) = published.of("ablation", "chaos", "liver", ["ct"])
    ours = summary[wanted & summary["method"].isin(["targan", "stargan"])]
    table = ablation.layout(three(), ablation.with_mean(pd.concat([ours, translation.literature(paper, MODALITIES)])))
    cells = {row[0].text: [cell.text for cell in row[2:]] for block in table.blocks for row in block.rows}
    assert cells["TarGAN w/o S"] == ["56.69", "59.37", "71.89", "62.65"]
    assert table.blocks[0].rows[0][-1].text == f"{(85 + 75 + 75) / 3:.2f}"
    assert table.blocks[0].rows[0][-1].bold
    assert not table.blocks[0].rows[1][-1].bold


def test_published_means_of_the_ablation_are_the_papers():
    (paper,) = published.of("ablation", "chaos", "liver", ["ct"])
    found = ablation.with_mean(translation.literature(paper, MODALITIES)).query("modality == 'all'")["mean"]
    assert found.round(2).tolist() == [44.38, 45.74, 48.20, 51.03, 62.65, 64.18]


def test_gap_of_crossfit(scores, three):
    fold, mean = (
        scores.assign(fit=fit, s_score_percent=scores["s_score_percent"] - less)
        for fit, less in (("fold", 3), ("mean", 1))
    )
    table = crossfit.gaps(pd.concat([scores, fold, mean]), three(crossfit=3))
    assert of(table, method="targan", metric="s_score_percent", fit="fold")["gap"] == pytest.approx(-3)
    printed = printed_rows(markdown(crossfit.layout(three(crossfit=3), table)))["TarGAN"]
    assert [printed[f"S-score (%) ↑ {name}"] for name in ("all", "fold", "mean", "fold − all", "mean − all")] == [
        *("78.33", "75.33", "77.33", "−3.00", "−1.00"),
    ]
    assert printed["PSNR (dB) ↑ all"] == "–"


@pytest.mark.parametrize("module", [translation, ablation, crossfit])
def test_command_lines(module, scores, distances, three, tmp_path, monkeypatch):
    everything = [scores.assign(fit=fit) for fit in ("all", "fold0", "mean")] if module is crossfit else [scores]
    index.write(pd.concat(everything)[TABLES["translation"].columns], tmp_path / "translation.csv")
    index.write(distances[TABLES["distribution"].columns], tmp_path / "distribution.csv")
    study = three(crossfit=3 if module is crossfit else 0)
    options = [f"--config-json={json.dumps(study.config)}", f"--scores={tmp_path / 'translation.csv'}"]
    if module is translation:
        options.append(f"--distances={tmp_path / 'distribution.csv'}")
    monkeypatch.setattr(sys, "argv", ["table", *options, f"--output={tmp_path / 'tables' / 'table.csv'}"])
    module.main()
    assert len(list((tmp_path / "tables").iterdir())) == 3 * 2  # each with its hash
    text = (tmp_path / "tables" / "table.md").read_text()
    assert f"Config sha256 {study.sha256}." in text
    assert ("Published (Chen et al. 2021" in text) == (module is not crossfit)

"""Leaks into a segmenter, and breaks in its chain of hashes."""

from gan.files import publish_json, sha256

from .edits import ct, edit_json, edit_model, record_config, who
from .run import CHECKPOINT, CONFIG, PREPROCESSED, RAW


def test_a_checkpoint_of_another_data_set(root, caught):
    path = root / "nnunet/ct/single/seed0" / CHECKPOINT
    edit_model(path, lambda arguments: arguments["settings"].update(preprocessed_sha256="0" * 64))
    caught(PREPROCESSED, "checkpoint_final.pth")


def test_a_checkpoint_that_was_given_other_cases(root, caught):
    path, test = root / "nnunet/ct/single/seed0" / CHECKPOINT, ct(who(root).test)
    edit_model(path, lambda arguments: arguments["dataset_json"]["dataset"].update({test: {}}))
    caught("checkpoint_final.pth", "another dataset")


def test_a_checkpoint_of_another_seed(root, caught):
    path = root / "nnunet/ct/single/seed0" / CHECKPOINT
    edit_model(path, lambda arguments: arguments["settings"].update(seed=3))
    caught("checkpoint_final.pth", "found seed 3, expected seed0")


def test_a_tuned_network_of_unknown_origin(root, caught):
    path = root / "nnunet/ct/stargan-cases-seed0/seed0" / CHECKPOINT
    edit_model(path, lambda arguments: arguments["settings"].update(pretrained_sha256="0" * 64))
    caught("stargan-cases-seed0", "a start from a network of sha256 000000000000…", "Single of its modality")


def test_a_case_more_in_the_preprocessed_folder(root, caught):
    folder, test = (root / "nnunet/ct/single" / PREPROCESSED).parent / "nnUNetPlans_2d", ct(who(root).test)
    (folder / f"{test}.b2nd").touch()
    caught("nnUNetPlans_2d", f"also {test}")


def test_a_preprocessed_case_replaced(root, caught):
    folder, train = (root / "nnunet/ct/single" / PREPROCESSED).parent / "nnUNetPlans_2d", ct(who(root).train)
    (folder / f"{train}.b2nd").unlink()
    (folder / f"{train}.b2nd").touch()
    caught(f"{train}.b2nd", "sha256")


def test_a_preprocessed_dataset_that_was_exchanged(root, caught):
    path = (root / "nnunet/ct/single" / PREPROCESSED).with_name("dataset.json")
    edit_json(path, lambda content: content.update(name="other"))
    caught("preprocessed/Dataset001_enriched/dataset.json", "preprocessed.json")


def test_a_preprocessing_of_other_cases(root, caught):
    path, train = root / "nnunet/ct/single" / PREPROCESSED, ct(who(root).train)
    arrays = [f"nnUNetPlans_2d/{train}{part}.b2nd" for part in ("", "_seg")]
    edit_json(path, lambda content: [content["sha256"].pop(name) for name in arrays])
    digest = sha256(path)
    checkpoint = root / "nnunet/ct/single/seed0" / CHECKPOINT
    edit_model(checkpoint, lambda arguments: arguments["settings"].update(preprocessed_sha256=digest))
    caught("preprocessed.json", f"other cases: {train}")


def test_a_segmenter_of_a_test_patient(root, caught):
    path, test = root / "segmenters/segan/ct/single/seed0/model.pt", ct(who(root).test)
    edit_model(path, lambda config: config["patients"].append(test))
    caught("segmenters/segan/ct/single/seed0/model.pt", f"test patient {test} in its training")


def test_a_segmenter_of_other_patients(root, caught):
    path = root / "segmenters/segan/ct/single/seed0/model.pt"
    edit_model(path, lambda config: config["patients"].append("ct99"))
    caught("segmenters/segan/ct/single/seed0/model.pt", "patient ct99", "only patients who train the segmenter")


def test_a_segmenter_of_nobody(root, caught):
    path = root / "segmenters/segan/ct/single/seed0/model.pt"
    edit_model(path, lambda config: config["patients"].clear())
    caught("segmenters/segan/ct/single/seed0/model.pt", "no patient")


def test_a_segmenter_that_starts_from_another(root, caught):
    path = root / "segmenters/segan/ct/single/seed0/model.pt"
    edit_model(path, lambda config: config["pretrained"].update(network="0" * 64))
    caught("segmenters/segan/ct/single/seed0/model.pt", "a start from another network")


def test_a_segmenter_of_another_seed(root, caught):
    path = root / "segmenters/segan/ct/single/seed0/model.pt"
    edit_model(path, lambda config: config.update(seed=2))
    caught("segmenters/segan/ct/single/seed0/model.pt", "seed 2")


def test_a_checkpoint_of_other_folds_than_the_data_set_has(root, caught):
    train = ct(who(root).train)
    record_config(root, nnunet=CONFIG["nnunet"] | {"folds": [0]})
    for modality in ("ct", "t1"):
        fold_all = (root / "nnunet" / modality / "single" / "seed0" / CHECKPOINT).parent
        fold_all.rename(fold_all.with_name("fold_0"))
    for name, folds in ((RAW, []), (PREPROCESSED, [{"train": [train], "val": []}])):
        for modality in ("ct", "t1"):
            publish_json((root / "nnunet" / modality / "single" / name).with_name("splits_final.json"), folds)
    caught("preprocessed/Dataset001_enriched/splits_final.json", "raw/Dataset001_enriched/splits_final.json says")

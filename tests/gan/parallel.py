"""Plays methods in float64, in one process or in several: `python -m tests.gan.parallel DEVICES OUTPUT METHOD …`.

In small steps. After larger ones the instance norms of hardly changing channels make a difference of rounding: in one
process alone, TarGAN's weights, changed by 1e-15 of themselves, end five of its own rounds 1e-3 apart.
"""

import copy
import sys
from dataclasses import replace

import torch
from torch import Tensor

from gan.batch import Batch, Draw
from gan.method import Method
from gan.processes import gathered, launch
from gan.trainer import Trainer
from tests.gan import tiny

ROUNDS = 5
SLOW = 0.01  # of the learning rates
TARGETS = (
    (0, 1, 2),
    (1,),
    (),
    (3,),
    (0, 2, 3),
)  # slices with the target; the halves differ
WANTED = ((1, 1, 2, 1, 2, 1), (2, 2, 2, 1, 1, 1), (1, 2, 1, 2, 1, 2), (1, 1, 1, 1, 1, 2), (2, 1, 1, 2, 1, 2))


def batches(method: Method) -> list[Batch]:
    """Return the whole batch of each round."""
    found = []
    for number, (targets, steps) in enumerate(zip(TARGETS, WANTED, strict=True)):
        batch = tiny.batch_for(method)
        count = len(batch.source)
        rows = torch.tensor([row % count for row in targets], dtype=torch.long)
        mask = torch.zeros_like(batch.target_mask)
        mask[rows] = batch.target_mask[:1].expand(len(rows), *batch.target_mask.shape[1:])
        target = batch.target
        if method.draw is Draw.BALANCED:
            target = (batch.source + torch.tensor(steps)[:count]) % method.modalities
        found.append(replace(batch, image=batch.image * (1 - 0.1 * number), target_mask=mask, target=target))
    return found


def play(name: str, devices: int) -> dict[str, object]:
    """Return a method's gradients of the first round it steps, and all it holds after the last."""
    method = tiny.build(name, devices=devices).double()
    torch.manual_seed(0)
    trainer = Trainer(method, replace(method.settings, ema_decay=0.5), ROUNDS)
    trainer.players = [replace(player, learning_rate=SLOW * player.learning_rate) for player in trainer.players]
    for optimizer in trainer.optimizers:
        optimizer.param_groups[0]["eps"] = 1e-3  # Adam's own makes whole steps of a gradient that is rounding alone
    gradients: dict[str, dict[str, Tensor | None]] = {}
    played = []
    for batch in batches(method):
        terms = trainer.step(batch)
        played.append({player: {term: value.item() for term, value in terms[player].items()} for player in terms})
        for player in trainer.players:
            if player.name in terms and player.name not in gradients:
                gradients[player.name] = {n: copy.copy(p.grad) for n, p in player.network.named_parameters()}
    weights = torch.cat([parameter.detach().flatten() for parameter in method.parameters()])[None]
    state = trainer.state()
    kept = {key: state[key] for key in ("method", "averaged", "optimizers", "random")}
    return {"gradients": gradients, "terms": played, **kept, "in step": bool((gathered(weights) == weights).all())}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    devices, output, *names = sys.argv[1:]
    results = {name: play(name, int(devices)) for name in names}
    if launch(int(devices), "32-true").is_global_zero:
        torch.save(results, output)

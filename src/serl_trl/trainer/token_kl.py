"""
The KL of each sampled token against the reference, for a reward that holds it.

Where the KL goes is `kl_placement` of [`SeRLConfig`]. In the reward, the KL of each token is taken from its reward, as
here. In the loss it is TRL's. `"auto"` puts it into the reward for REINFORCE++ and RLOO, into the loss for GRPO.
"""

from typing import TYPE_CHECKING, Any

import torch


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


def token_kl(trainer: "SeRLTrainer", output: dict[str, Any], mask: torch.Tensor) -> torch.Tensor:
    """
    The k1 estimate logp - ref_logp of each token, (B, T); its mean is logged as TRL logs `kl`.

    Args:
        trainer ([`SeRLTrainer`]): Whose policy has sampled.
        output (`dict[str, Any]`): The rows of this process as TRL has scored them; loses `ref_per_token_logps`.
        mask (`torch.Tensor` of shape `(B, T)`): The tokens that are trained on.
    """
    logps = output.get("old_per_token_logps")
    if logps is None:
        with torch.no_grad():
            logps, _, _ = trainer._get_per_token_logps_and_entropies(
                trainer.model,
                torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1),
                torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1),
                logits_to_keep=output["completion_ids"].size(1),
                batch_size=trainer.args.per_device_train_batch_size,
            )
    kl = logps - output.pop("ref_per_token_logps")
    total, count = trainer.accelerator.reduce(torch.stack([(kl * mask).sum(), mask.sum()]), reduction="sum")
    trainer.record({"kl": (total / count.clamp(min=1)).item()})
    return kl

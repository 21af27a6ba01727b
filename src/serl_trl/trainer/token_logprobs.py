"""Log-probabilities of completions, with padding trimmed and each prompt computed once."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import torch
from accelerate.logging import get_logger
from torch import Tensor
from torch.nn import DataParallel, Module
from torch.nn.functional import pad
from trl.models.utils import disable_gradient_checkpointing

from ..prompts import depend_on_batch
from .dropout_check import Dropouts
from .prompt_cache import PromptCache, Rows, causal_model, positions, reason_not_to_share
from .prompt_groups import gather_groups


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


MIN_SAVED = 0.1  # of the tokens of a batch; with less, two forward passes cost more than they save
PROMPTS_OF_A_BATCH = 1 / 8  # prompts whose keys and values are held at once, as a share of a micro-batch's rows
# Most that log-probabilities of a shared batch may differ from TRL's, in the mean over tokens. Rounding makes 1e-6 of it in
# float32, and 0.02 to 0.05 in bfloat16 (SmolLM2-135M and Qwen2.5-1.5B, on unlikely completions); prompts that are left out or
# misplaced make 0.2 and more of it (OPT; 0.06 to 0.1 with weights as they are drawn, which is not found out in bfloat16).
MAX_DIFFERENCE, MAX_DIFFERENCE_NARROW = 1e-3, 0.1

AUXILIARY_LOSS = "the auxiliary loss of the mixture of experts is over all tokens of the batch"

Scored: TypeAlias = tuple[Tensor, Tensor | None, Tensor | None]  # log-probabilities, entropies, auxiliary loss

logger = get_logger(__name__)


class TokenLogprobs:
    """
    Log-probabilities of completions as TRL computes them, at less cost.

    TRL computes every prompt once for each of its completions, and all padding of the batch. Here rows that share a prompt
    are scored in two forward passes. The first is over the different prompts, all but their last tokens, and keeps keys
    and values. The second is over last prompt tokens and completions; each row reads the keys and values of its prompt.
    TRL's fused head makes log-probabilities and entropies of it. The gradient runs through both passes (PrefixGrouper, arXiv
    2506.05433, shows that it is the same). Positions are TRL's, so results are, to rounding.

    Without gradient this is done wherever the model allows, and rows are scored in order of length. With gradient it is done
    where `share_prompts` says so. TRL's own pass is taken, and the reason is logged once, where the model cannot read
    prompts from a cache, where dropout is active or parameters are sharded, and with gradient also with gradient
    checkpointing, Liger, or an auxiliary loss.

    Masked places hold 0, as in TRL.

    Args:
        trainer ([`SeRLTrainer`]): Whose models are asked.
    """

    def __init__(self, trainer: "SeRLTrainer") -> None:
        self.trainer = trainer
        # What was found of each model, which is looked at once: it has thousands of modules
        self._reasons: WeakKeyDictionary[Module, str | None] = WeakKeyDictionary()
        self._dropouts: WeakKeyDictionary[Module, Dropouts] = WeakKeyDictionary()
        self._checkpointing: WeakKeyDictionary[Module, bool] = WeakKeyDictionary()
        # The longest row that was alike; 0 if it was not
        self._checked: WeakKeyDictionary[Module, int] = WeakKeyDictionary()
        self._said: set[str] = set()

    def __call__(
        self,
        plain: Callable[..., Scored],
        model: Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **others: Any,
    ) -> Scored:
        """
        As TRL's method of the same arguments.

        Args:
            plain (`Callable`): That method.
            others: Inputs of vision models.

        Returns:
            Log-probabilities, (B, T), entropies, (B, T), or `None`, and the auxiliary loss of a mixture of experts or `None`.
        """
        trainer, has_gradient = self.trainer, torch.is_grad_enabled()
        rows = Rows(input_ids, attention_mask, logits_to_keep)

        def by_trl() -> Scored:
            return plain(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **others,
            )

        if has_gradient and not trainer.args.share_prompts:
            return by_trl()
        has_other_inputs = any(value is not None for value in others.values())
        reason = "the batch has other inputs than texts" if has_other_inputs else None
        if compute_aux_loss:
            reason = AUXILIARY_LOSS
        reason = reason or self.reason_for_trls(model, has_gradient)
        bare = trainer.accelerator.unwrap_model(model)
        if reason is None and depend_on_batch(causal_model(bare).config, rows.ids.size(1)):
            reason = "its positions are scaled by the longest row of a batch"
        if reason is not None:
            self._say(reason, has_gradient)
            return by_trl()
        is_shared = self._is_shared(rows)
        if has_gradient:
            if not is_shared or not self._is_alike(bare, rows, plain):
                return by_trl()
            with trainer.accelerator.autocast():
                # What wraps the model for several processes sees one call: its hooks are on the parameters
                return (*_completions(model, rows, PromptCache.computed(bare, rows), compute_entropy), None)
        checkpointing = trainer.args.gradient_checkpointing_kwargs
        with disable_gradient_checkpointing(bare, checkpointing):  # type: ignore[arg-type]  # a str until it is parsed
            if not self._is_alike(bare, rows, plain):
                return by_trl()
            with trainer.accelerator.autocast():
                batch_size = batch_size or len(rows)
                return (*self._in_order(model, bare, rows, batch_size, compute_entropy, is_shared), None)

    def reason_for_trls(self, model: Module, has_gradient: bool) -> str | None:
        """
        Why TRL's own pass has to be taken, if it has to.

        Args:
            model (`torch.nn.Module`): The model, as it is called.
            has_gradient (`bool`): Whether it is a pass with gradient.
        """
        trainer = self.trainer
        if trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
            return "DeepSpeed or FSDP holds the parameters"
        if isinstance(model, DataParallel):
            return "DataParallel splits the batch"
        if trainer.args.torch_compile:
            return "torch_compile is set"
        if has_gradient and trainer.args.use_liger_kernel:
            return "use_liger_kernel is set"
        bare = trainer.accelerator.unwrap_model(model)
        config = causal_model(bare).config.get_text_config(decoder=True)
        if (has_gradient and trainer.aux_loss_enabled) or getattr(config, "output_router_logits", False):
            return AUXILIARY_LOSS
        if has_gradient and bare not in self._checkpointing:
            checkpointing = (getattr(module, "gradient_checkpointing", False) for module in bare.modules())
            self._checkpointing[bare] = any(checkpointing)
        if has_gradient and self._checkpointing[bare]:
            return "gradient_checkpointing is set"
        if bare not in self._reasons:
            self._reasons[bare], self._dropouts[bare] = reason_not_to_share(bare), Dropouts(bare)
        return self._reasons[bare] or ("dropout is active" if self._dropouts[bare].are_active() else None)

    def gather_groups(self, model: Module, inputs: dict[str, Any]) -> None:
        """
        Puts the rows of each prompt next to each other, before the first micro-batch of a rollout is trained on.

        TRL shuffles rows before it cuts them into micro-batches, which then hold a few rows of each prompt. A row stays in the
        optimiser step that the shuffle has put it into. Within a step prompts keep the order in which the shuffle has them,
        which is random, and needs no further random numbers: done twice, as in a run that is resumed, it changes nothing.

        Args:
            model (`torch.nn.Module`): The model to train, as it is called.
            inputs (`dict[str, Any]`): The micro-batch that is due.
        """
        trainer = self.trainer
        batches = trainer._buffered_inputs or []
        # a quantile of a micro-batch's entropies depends on which rows are in it
        is_first = bool(batches) and inputs is batches[0]
        if not (is_first and trainer.args.share_prompts) or trainer.top_entropy_quantile < 1:
            return
        if self.reason_for_trls(model, has_gradient=True) is None:
            gather_groups(batches, trainer.args.gradient_accumulation_steps)

    def _say(self, reason: str, has_gradient: bool) -> None:
        text = f"Prompts are computed once for each completion {'in training' if has_gradient else 'in scoring'}: {reason}."
        if text not in self._said:
            self._said.add(text)
            (logger.warning if has_gradient else logger.info)(text)

    def _is_shared(self, rows: Rows) -> bool:
        """Whether enough rows share a prompt, and all prompts have a token to keep and one to read completions after."""
        is_left_padded = bool(rows.mask[:, rows.end_of_prompts - 1].all())
        num_tokens = int((rows.prompt_lengths + rows.completion_lengths).sum())
        num_saved = int(rows.prompt_lengths.sum() - rows.prompt_lengths[rows.prompts[1]].sum())
        is_worth_it = num_saved >= MIN_SAVED * num_tokens
        return is_left_padded and is_worth_it and int(rows.prompt_lengths.min()) > 1

    @torch.no_grad()
    def _is_alike(self, bare: Module, rows: Rows, plain: Callable[..., Scored]) -> bool:
        """
        Whether a model gives what TRL's pass gives, tried on two rows that are given padding to trim.

        It is tried again when rows pass a power of two in length: a window of attention, say, does not show on short rows.
        """
        lengths = (rows.prompt_lengths + rows.completion_lengths) * (rows.completion_lengths > 0)
        num_tokens, checked = max(lengths.tolist(), default=0), self._checked.get(bare)
        if not num_tokens or checked == 0 or (checked and num_tokens.bit_length() <= checked.bit_length()):
            return checked != 0
        index, _ = rows.prompts
        of_longest = ((index == index[lengths.argmax()]) & (rows.completion_lengths > 0)).nonzero().flatten()
        few = rows.of(of_longest[lengths[of_longest].argsort(descending=True, stable=True)][:2]).padded()
        theirs, _, _ = plain(bare, few.ids, few.mask, few.width)
        with self.trainer.accelerator.autocast():
            ours = [_completions(bare, few, None, False)[0]]
            if int(few.prompt_lengths.min()) > 1:
                ours.append(_completions(bare, few, PromptCache.computed(bare, few), False)[0])
        # Some versions of PyTorch keep weights that were cast without gradient, and would take them for the pass with it
        torch.clear_autocast_cache()
        mask = few.mask[:, few.end_of_prompts :].bool()
        difference = max((logps - theirs)[mask].abs().mean().item() for logps in ours)
        is_narrow = self.trainer.accelerator.mixed_precision != "no" or next(bare.parameters()).dtype.itemsize < 4
        is_alike = difference <= (MAX_DIFFERENCE_NARROW if is_narrow else MAX_DIFFERENCE)
        self._checked[bare] = num_tokens if is_alike else 0
        if not is_alike:
            self._say(
                f"it changes log-probabilities of {type(bare).__name__} by {difference:.2g} a token to read prompts from a "
                "cache, or to leave out padding",
                self.trainer.args.share_prompts,
            )
        return is_alike

    def _in_order(
        self, model: Module, bare: Module, rows: Rows, batch_size: int, compute_entropy: bool, is_shared: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Scores micro-batches of rows of similar length; returns all rows in the order given."""
        order, parts = [], []
        for block in _blocks(rows, batch_size) if is_shared else [torch.arange(len(rows), device=rows.ids.device)]:
            some = rows.of(block)
            prompts = PromptCache.computed(bare, some) if is_shared else None
            lengths = some.completion_lengths + (0 if is_shared else some.prompt_lengths)
            for chunk in lengths.argsort(stable=True).split(batch_size):
                read = None if prompts is None else prompts.of(chunk)
                parts.append(_completions(model, some.of(chunk), read, compute_entropy))
                order.append(block[chunk])
        back = torch.cat(order).argsort()
        logps = torch.cat([logps for logps, _ in parts])[back]
        entropies = [entropies for _, entropies in parts if entropies is not None]
        return logps, torch.cat(entropies)[back] if entropies else None


def _blocks(rows: Rows, batch_size: int) -> Iterator[Tensor]:
    """Rows of as many prompts as are held at once, in order of the prompts' lengths."""
    prompt, firsts = rows.prompts
    num_held = math.ceil(batch_size * max(PROMPTS_OF_A_BATCH, len(firsts) / len(rows)))
    for held in rows.prompt_lengths[firsts].argsort(stable=True).split(num_held):
        yield torch.isin(prompt, held).nonzero().flatten()


def _completions(
    model: Module, rows: Rows, prompts: PromptCache | None, compute_entropy: bool
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities and entropies, (B, T), of completions; their prompts are read from a cache, or computed here."""
    of_prompts, of_completions = rows.trimmed
    begin = of_prompts.start if prompts is None else rows.end_of_prompts - 1
    columns = slice(begin, of_completions.stop)
    attended = slice(begin if prompts is None else prompts.first, of_completions.stop)
    labels = rows.ids[:, columns].masked_fill(rows.mask[:, columns] == 0, -100)
    labels[:, : rows.end_of_prompts - begin] = -100
    output = model(
        input_ids=rows.ids[:, columns],
        attention_mask=rows.mask[:, attended],
        position_ids=positions(rows, columns),
        labels=labels,
        fused_lm_head=True,
        **({} if prompts is None else {"past_key_values": prompts.spread()}),
    )
    num_scored = of_completions.stop - of_completions.start

    def whole(values: Tensor) -> Tensor:  # (B, T), 0 where nothing was scored
        return pad(values[:, -num_scored:], (0, rows.width - num_scored))

    return whole(output.log_probs), whole(output.entropy) if compute_entropy else None

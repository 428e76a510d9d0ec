"""The demo's encoder: a two-layer BERT, pretrained as a masked language model on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.run.demo.grammar import draw_sentence, vocabulary
from landscape.training.finetune import save_whole
from landscape.training.loop import train

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BATCH = 64
_LEARNING_RATE = 2e-3
_CORPUS = 20_000
_IGNORED = -100


def pretrain_encoder(out: Path, steps: int, seed: int, report: Callable[[str], None]) -> None:
    """Train the encoder and write it as an ordinary checkpoint directory.

    Dropout is off, here and in the configuration: small models trained for few steps need none,
    and finetuning many at once by vmap takes none.
    """
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    vocab = {word: i for i, word in enumerate((*_SPECIAL, *vocabulary()))}
    tokenizer = BertTokenizer(vocab=vocab, model_max_length=16)
    rng = np.random.default_rng(seed)
    corpus = [draw_sentence(rng) for _ in range(_CORPUS)]
    encoded = tokenizer(corpus, padding=True, return_tensors="pt")
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        hidden_act="relu",
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.02,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertForMaskedLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, fused=True)

    def step(number: int) -> float:
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * min(1.0, (number + 1) / 50) * (1 - number / steps)
        rows = torch.from_numpy(rng.integers(len(ids), size=_BATCH))
        width = int(mask[rows].sum(1).max())
        inputs, targets = _mask_tokens(ids[rows, :width], tokenizer, rng)
        logits = model(input_ids=inputs, attention_mask=mask[rows, :width]).logits
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=_IGNORED
        )
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of sums, and with it the encoder, must not depend on cores
    train("encoder", steps, step, {}, recipe={}, report=report)
    torch.set_num_threads(threads)
    save_whole(model, tokenizer, {"seed": seed, "step": steps}, out)


def _mask_tokens(ids: Tensor, tokenizer: Any, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Hide a fifth of the words; the targets are those words."""
    words = ids >= len(_SPECIAL)
    hidden = words & torch.from_numpy(rng.random(ids.shape) < 0.2)
    return ids.masked_fill(hidden, tokenizer.mask_token_id), ids.masked_fill(~hidden, _IGNORED)

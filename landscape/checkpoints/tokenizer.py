"""A checkpoint's tokenizer, and whether two of them are the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from landscape.checkpoints.json_files import read_json
from landscape.checkpoints.read import Checkpoint
from landscape.checkpoints.skeleton import first_line, read_config
from landscape.core.errors import CheckpointError

_VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
TOKENIZER_FILES = (
    *_VOCABULARY_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "bpe.codes",
    "spm.model",
)
_PROBES = ("The Cat's   naïve café, isn't it?", "lexical_overlap 1234 éß 漢字 :-)")


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's tokenizer.

    Raises:
        CheckpointError: It has none, or one that cannot be used.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.path, local_files_only=True, trust_remote_code=False
        )
        _try(tokenizer, getattr(read_config(checkpoint), "vocab_size", None))
    except BaseException as error:  # its parsers raise errors of every kind; one's panic is none
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise CheckpointError(
            "The checkpoint's tokenizer cannot be loaded.",
            where=checkpoint.path,
            found=first_line(error),
            fix="save the tokenizer beside the weights: tokenizer.save_pretrained(folder)",
        ) from None
    return tokenizer


def _try(tokenizer: Any, n_rows: int | None) -> None:
    """Refuse tokens that the model has no row for, before a text brings them up."""
    ids = tokenizer("a cat", "a dog", truncation=True, max_length=8)["input_ids"]
    ids += [tokenizer.pad_token_id or 0]
    added = tokenizer.get_added_vocab()  # of which some are never used
    ids += [number for token, number in tokenizer.get_vocab().items() if token not in added]
    if not all(type(number) is int and 0 <= number < (n_rows or 2**31) for number in ids):
        raise ValueError(f"a token whose number is not below the model's vocab_size, {n_rows}")


def tokenizer_hash(checkpoint: Checkpoint) -> str:
    """A hash of the tokenizer's files, without the padding and truncation last used."""
    digest = hashlib.sha256()
    files = [checkpoint.path / name for name in _VOCABULARY_FILES]
    files = [file for file in files if file.is_file()]
    if not files:
        raise CheckpointError(
            "The checkpoint has no tokenizer.",
            where=checkpoint.path,
            expected=" or ".join(_VOCABULARY_FILES),
            fix="save it beside the weights: tokenizer.save_pretrained(folder)",
        )
    settings = checkpoint.path / "tokenizer_config.json"
    if settings.is_file():
        read_json(settings)
    if files[0].name == "tokenizer.json":
        content = read_json(files[0])
        free = ("truncation", "padding")
        content = {key: value for key, value in content.items() if key not in free}
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def require_same_tokenizer(first: Checkpoint, other: Checkpoint, first_hash: str) -> None:
    """Refuse another vocabulary, or texts that are cut differently."""
    if tokenizer_hash(other) == first_hash:
        return
    # other files can still be the same tokenizer, saved by another version
    ours, theirs = load_tokenizer(first), load_tokenizer(other)
    if ours.get_vocab() != theirs.get_vocab():
        differ = len(ours.get_vocab().items() ^ theirs.get_vocab().items())
        raise CheckpointError(
            "The checkpoints have different vocabularies.",
            where=other.path,
            expected=f"{len(ours.get_vocab())} tokens as {first.path}",
            found=f"{len(theirs.get_vocab())} tokens, {differ} entries differ",
        )
    for probe in _PROBES:
        if ours(probe)["input_ids"] != theirs(probe)["input_ids"]:
            raise CheckpointError(
                "The checkpoints' tokenizers cut a text differently.",
                where=other.path,
                expected=f"{ours.tokenize(probe)} as {first.path}",
                found=theirs.tokenize(probe),
            )

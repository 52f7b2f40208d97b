"""A tiny Whisper model with random weights, made here and in a moment.

Belongs here: writing a model that CTranslate2 loads and faster-whisper runs, with no download and
no torch. What it hears is gibberish; the code that loads and runs it is the real one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.whisper_spec import WhisperConfig
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

_MELS = 80
_AUDIO_POSITIONS = 1500
_TEXT_POSITIONS = 448
_TIMESTAMPS = 1501
# CTranslate2 takes a model for multilingual by this token, which the English ones lack.
_MULTILINGUAL_MARK = ""

_LANGUAGES = ("en", "de", "fr")
_SYLLABLES = ("ba", "do", "ki", "lu", "me", "no", "pa", "ro", "ti", "vu")
_WORDS = tuple(f"\u0120{first}{second}" for first in _SYLLABLES for second in _SYLLABLES)

_LAST_WORDS = frozenset(word for word in _WORDS if word[1:3] in {"ti", "vu"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a model is; Whisper "tiny" has a width of 384, 6 heads and 4 layers.

    Attributes:
        width: Numbers in a state.
        heads: Of attention.
        layers: Of the encoder, and of the decoder.
    """

    width: int = 16
    heads: int = 2
    layers: int = 1


def make_whisper_model(
    folder: Path,
    *,
    multilingual: bool = False,
    seed: int = 1,
    shape: Shape | None = None,
    endless: bool = False,
) -> Path:
    """Write a model into a new folder.

    Args:
        folder: Folder to make.
        multilingual: Whether it detects languages, as "small" does, or is like "small.en".
        seed: Seed of the weights.
        shape: Its size; tiny beyond "tiny" if None.
        endless: Whether it never comes to an end, so that every window gives the most words.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    vocabulary, special = _vocabulary(multilingual=multilingual)
    _write_tokenizer(folder / "tokenizer.json", vocabulary, special)
    ids = {token: number for number, token in enumerate(vocabulary)}
    shape = shape or Shape()
    spec = WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    _fill(spec, vocabulary, np.random.default_rng(seed), shape=shape, endless=endless)
    spec.register_vocabulary(vocabulary)
    config: WhisperConfig = spec.config
    config.suppress_ids = []
    config.suppress_ids_begin = [ids["<|endoftext|>"]]
    config.alignment_heads = [[0, 0], [0, 1]]
    config.lang_ids = [ids[f"<|{language}|>"] for language in _LANGUAGES] if multilingual else []
    spec.validate()
    spec.save(str(folder))
    return folder


def _vocabulary(*, multilingual: bool) -> tuple[list[str], list[str]]:
    plain = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *_WORDS]
    special = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{language}|>" for language in _LANGUAGES if multilingual),
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
        *(f"<|{number * 0.02:.2f}|>" for number in range(_TIMESTAMPS)),
    ]
    if multilingual:
        plain.append(_MULTILINGUAL_MARK)
    return plain + special, special


def _write_tokenizer(path: Path, vocabulary: list[str], special: list[str]) -> None:
    plain = vocabulary[: len(vocabulary) - len(special)]
    tokenizer = Tokenizer(
        models.BPE(vocab={token: number for number, token in enumerate(plain)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    path.write_text(tokenizer.to_str())
    assert [json.loads(path.read_text())["added_tokens"][0]["id"]] == [len(plain)]


def _fill(
    spec: WhisperSpec,
    vocabulary: list[str],
    rng: np.random.Generator,
    *,
    shape: Shape,
    endless: bool,
) -> None:
    width = shape.width

    def random(*sizes: int, scale: float = 0.2) -> np.ndarray:
        return rng.normal(0, scale, sizes).astype(np.float32)

    def linear(layer: object, outputs: int, inputs: int) -> None:
        layer.weight, layer.bias = random(outputs, inputs), random(outputs)

    def norm(layer: object) -> None:
        layer.gamma = np.ones(width, dtype=np.float32)
        layer.beta = np.zeros(width, dtype=np.float32)

    def self_attention(layer: object) -> None:
        norm(layer.layer_norm)
        linear(layer.linear[0], 3 * width, width)
        linear(layer.linear[1], width, width)

    def feed_forward(layer: object) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * width, width)
        linear(layer.linear_1, width, 4 * width)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = random(width, _MELS, 3), random(width)
    encoder.conv2.weight, encoder.conv2.bias = random(width, width, 3), random(width)
    encoder.position_encodings.encodings = random(_AUDIO_POSITIONS, width)
    decoder.position_encodings.encodings = random(_TEXT_POSITIONS, width, scale=1.0)
    decoder.embeddings.weight = random(len(vocabulary), width)
    # One dimension is for words that end a text, and the end listens to it alone.
    decoder.position_encodings.encodings[:, 0] = 0
    decoder.embeddings.weight[:, 0] = [8 * (word in _LAST_WORDS) for word in vocabulary]
    for stack in (encoder, decoder):
        norm(stack.layer_norm)
        for layer in stack.layer:
            self_attention(layer.self_attention)
            feed_forward(layer.ffn)
    for layer in decoder.layer:
        cross = layer.attention
        norm(cross.layer_norm)
        linear(cross.linear[0], width, width)
        linear(cross.linear[1], 2 * width, width)
        linear(cross.linear[2], width, width)
    linear(decoder.projection, len(vocabulary), width)
    decoder.projection.weight = random(len(vocabulary), width, scale=0.5)
    decoder.projection.weight[vocabulary.index("<|endoftext|>")] = [3.0] + [0.0] * (width - 1)
    decoder.projection.bias = _leanings(vocabulary, endless=endless)
    if endless:
        decoder.projection.weight[vocabulary.index("<|endoftext|>")] = 0


def _leanings(vocabulary: list[str], *, endless: bool) -> np.ndarray:
    """Make it say words, mark times now and then, come to an end, and not call it silence."""
    words, languages = set(_WORDS), {f"<|{language}|>" for language in _LANGUAGES}

    def leaning(token: str) -> float:
        if token in words:
            return 10.0
        if token == "<|endoftext|>":
            return -1000.0 if endless else 9.0
        if token[:2] == "<|" and token[2].isdigit():
            return 1.0
        return 0.0 if token in languages else -20.0

    return np.array([leaning(token) for token in vocabulary], dtype=np.float32)

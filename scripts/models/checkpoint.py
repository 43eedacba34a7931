"""Random checkpoints, and the tokenizer that all of them share."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import tiny
from models.families import VOCAB, Family

SPECIAL = ["<pad>", "<s>", "</s>"]  # by their ids, those of COMMON

# Large enough that scores differ by nats from one token to the next, so that a fault shows.
MATRIX, EMBEDDING, VECTOR = 0.2, 0.3, 0.2

CLASSES = {"fill-mask": transformers.AutoModelForMaskedLM,
           "text-generation-with-past": transformers.AutoModelForCausalLM,
           "text2text-generation-with-past": transformers.AutoModelForSeq2SeqLM}


def write(family: Family, folder: Path) -> None:
    """Writes a Hugging Face folder: config, safetensors and tokenizer."""
    config = transformers.AutoConfig.for_model(**family.config())
    torch.manual_seed(zlib.crc32(family.name.encode()))
    model = CLASSES[family.task].from_config(config)
    draw(model)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


@torch.no_grad()
def draw(model: torch.nn.Module) -> None:
    """Fills a model with random weights; vectors stay near what they are, 0 or 1."""
    head = model.get_output_embeddings()
    for module in model.modules():
        for weight in module.parameters(recurse=False):
            noise = torch.randn(weight.shape)
            if weight.dim() < 2:
                weight.add_(noise * VECTOR)
            else:
                wide = isinstance(module, torch.nn.Embedding) or module is head
                weight.copy_(noise * (EMBEDDING if wide else MATRIX))


def tokenizer() -> Any:
    """Byte-level BPE with digits one by one, and BOS before a text."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(tiny.CORPUS.splitlines(keepends=True), trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        add_bos_token=True, model_max_length=1024)

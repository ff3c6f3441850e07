#!/usr/bin/env python3
"""ELECTRA's joint step in PyTorch on the card (or the CPU), eager and compiled, in f32, tf32 and bf16: one JSON object a line.

usage: torch_step.py BATCH SEQ [small|base]      needs torch and transformers"""
import contextlib
import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

# Embedding; hidden size, heads and feed-forward of the discriminator and of the generator.
SIZES = {"small": (128, (256, 4, 1024), (64, 1, 256)), "base": (768, (768, 12, 3072), (256, 4, 1024))}
VOCABULARY, MASK = 30522, 103


def networks(size, device):
    embedding, *rest = SIZES[size]

    def config(hidden, heads, inner):
        return ElectraConfig(vocab_size=VOCABULARY, embedding_size=embedding, hidden_size=hidden, num_hidden_layers=12,
                             num_attention_heads=heads, intermediate_size=inner)

    discriminator, generator = ElectraForPreTraining(config(*rest[0])).train(), ElectraForMaskedLM(config(*rest[1])).train()
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = discriminator.electra.embeddings.word_embeddings.weight
    return discriminator.to(device), generator.to(device)


def measure(size, batch, seq, mode, device):
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = "tf32" in mode
    discriminator, generator = networks(size, device)
    parameters = list({id(p): p for m in (generator, discriminator) for p in m.parameters()}.values())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, eps=1e-6, fused=True)
    masked = int(0.155 * seq)
    ids = torch.randint(1000, VOCABULARY, (batch, seq), device=device)
    positions = torch.stack([torch.randperm(seq - 2, device=device)[:masked] + 1 for _ in range(batch)])
    inputs, targets = ids.scatter(1, positions, MASK), ids.gather(1, positions)
    rows = torch.arange(batch, device=device)[:, None]

    def losses():
        half = torch.autocast(device, dtype=torch.bfloat16) if "bf16" in mode else contextlib.nullcontext()
        with half:
            hidden = generator.electra(inputs).last_hidden_state[rows, positions]
            logits = generator.generator_lm_head(generator.generator_predictions(hidden)).float()
            mlm = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            with torch.no_grad():
                noise = -torch.log(-torch.log(torch.rand_like(logits) + 1e-9) + 1e-9)
                corrupted = ids.scatter(1, positions, (logits + noise).argmax(-1))
                labels = (corrupted != ids).float()
            scores = discriminator(corrupted).logits.float()
            return mlm + 50 * torch.nn.functional.binary_cross_entropy_with_logits(scores, labels)

    forward = torch.compile(losses) if "compiled" in mode else losses

    def step():
        forward().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(4):
        step()
    wait()
    times = []
    for _ in range(12 if device == "cuda" else 3):
        began = time.perf_counter()
        step()
        wait()
        times.append(time.perf_counter() - began)
    median = sorted(times)[len(times) // 2]
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else None
    return {"seconds_per_step": median, "tokens_per_second": batch * seq / median, "peak_device_bytes": memory}


def main():
    batch, seq = int(sys.argv[1]), int(sys.argv[2])
    size = sys.argv[3] if len(sys.argv) > 3 else "small"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Compiling takes a minute or two each: last.
    modes = ("eager f32", "eager tf32", "eager bf16", "compiled bf16", "compiled tf32")
    for mode in modes if device == "cuda" else modes[:1]:
        row = {"torch": torch.__version__, "device": device, "size": size, "batch": batch, "seq": seq, "mode": mode}
        try:
            row |= measure(size, batch, seq, mode, device)
        except Exception as error:  # One mode that a card lacks does not cost the others.
            row["error"] = repr(error)[:300]
        print(json.dumps(row), flush=True)


main()

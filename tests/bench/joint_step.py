#!/usr/bin/env python3
"""Times ELECTRA's joint training step in PyTorch and in Electra, in turns, on the CPU, in f32, with dropout.

Both do the same work: generator forward on masked ids, logits at the masked positions only, Gumbel sampling,
discriminator forward on the corrupted ids, both losses, backward, global-norm clip, Adam. PyTorch runs Hugging Face's
networks eagerly, with its fused optimizer and attention where it has them; embeddings are shared.

usage: joint_step.py --electra target/release/electra [--batch 8] [--seq 128] [--rounds 5]
needs: pip install torch transformers
"""
import argparse
import json
import os
import subprocess
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

MASKED = 19


def small(**sizes):
    return ElectraConfig(vocab_size=30522, embedding_size=128, max_position_embeddings=512, num_hidden_layers=12, **sizes)


class Torch:
    def __init__(self, batch, seq):
        self.disc = ElectraForPreTraining(small(hidden_size=256, num_attention_heads=4, intermediate_size=1024)).train()
        self.gen = ElectraForMaskedLM(small(hidden_size=64, num_attention_heads=1, intermediate_size=256)).train()
        self.gen.electra.embeddings = self.disc.electra.embeddings
        self.gen.generator_lm_head.weight = self.disc.electra.embeddings.word_embeddings.weight
        self.params = list({id(p): p for m in (self.gen, self.disc) for p in m.parameters()}.values())
        self.optimizer = torch.optim.AdamW(self.params, lr=1e-4, eps=1e-6, fused=True)
        self.ids = torch.randint(5, 30522, (batch, seq))
        self.positions = torch.stack([torch.randperm(seq - 2)[:MASKED] + 1 for _ in range(batch)])
        self.masked = self.ids.scatter(1, self.positions, 4)
        self.targets = self.ids.gather(1, self.positions)

    def step(self):
        hidden = self.gen.electra(self.masked).last_hidden_state
        rows = torch.arange(len(self.ids))[:, None]
        logits = self.gen.generator_lm_head(self.gen.generator_predictions(hidden[rows, self.positions]))
        mlm = torch.nn.functional.cross_entropy(logits.flatten(0, 1), self.targets.flatten())
        with torch.no_grad():
            noise = -torch.log(-torch.log(torch.rand_like(logits) + 1e-9) + 1e-9)
            sampled = (logits + noise).argmax(-1)
            corrupted = self.ids.scatter(1, self.positions, sampled)
            labels = (corrupted != self.ids).float()
        rtd = torch.nn.functional.binary_cross_entropy_with_logits(self.disc(corrupted).logits, labels)
        loss = mlm + 50 * rtd
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electra", required=True)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    theirs = Torch(arguments.batch, arguments.seq)
    for _ in range(2):
        theirs.step()
    tokens = arguments.batch * arguments.seq
    ratios = []
    for number in range(arguments.rounds):
        times = []
        for _ in range(5):
            started = time.perf_counter()
            theirs.step()
            times.append(time.perf_counter() - started)
        torch_speed = tokens / sorted(times)[2]
        call = [arguments.electra, "bench", "step", "--preset", "small", "--device", "cpu", "--json",
                "--batch", str(arguments.batch), "--seq", str(arguments.seq)]
        ours = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)["tokens_per_second"]
        ratios.append(ours / torch_speed)
        print(f"round {number + 1}: torch {torch_speed:.0f} tokens/s, electra {ours:.0f} tokens/s, ratio {ratios[-1]:.3f}")
    print(f"ratio electra / torch {torch.__version__}: median {sorted(ratios)[len(ratios) // 2]:.3f}, "
          f"{torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares what `electra predict` says with what `transformers` says of the same fine-tuned folder.

Sequence classification (one label, several, a number) and token classification: every probability or value. Question answering:
the answer with the greatest sum of both logits in the context. Each line of TEXTS is a text, a pair with a tab between, or, for
questions, a question and its context.

usage: compare_predictions.py --electra target/release/electra --texts TEXTS FOLDER...
needs: pip install torch transformers
"""
import argparse
import json
import os
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import AutoConfig, AutoTokenizer
import transformers

TOLERANCE = 1e-4


def ours(electra, folder, lines):
    done = subprocess.run([electra, "predict", "--model", folder, "--device", "cpu", "-q"], input="\n".join(lines) + "\n",
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def sequence(model, tokenizer, config, lines, found, longest):
    worst = 0.0
    for line, said in zip(lines, found):
        logits = model(**tokenizer(*line.split("\t"), truncation=True, max_length=longest, return_tensors="pt")).logits[0]
        if config.problem_type == "regression":
            scale = said["value"] / logits[0].item() if "scale" in json.dumps(config.to_dict().get("electra", {})) else 1.0
            theirs, mine = [logits[0].item() * scale], [said["value"]]
        else:
            several = config.problem_type == "multi_label_classification"
            theirs = (logits.sigmoid() if several else logits.softmax(0)).tolist()
            mine = [said["probabilities"][config.id2label[i]] for i in range(len(theirs))]
        worst = max([worst] + [abs(a - b) for a, b in zip(theirs, mine)])
    return worst


def tokens(model, tokenizer, config, lines, found, longest):
    worst = 0.0
    for line, said in zip(lines, found):
        encoded = tokenizer(line.split(), is_split_into_words=True, truncation=True, max_length=longest, return_tensors="pt")
        probabilities = model(**encoded).logits[0].softmax(-1)
        words = encoded.word_ids()
        for word, mine in enumerate(said["probabilities"]):
            if word in words:
                best = probabilities[words.index(word)].max().item()
                worst = max(worst, abs(best - mine if isinstance(mine, float) else best - max(mine)))
    return worst


def answers(model, tokenizer, lines, found, longest):
    differing = 0
    for line, said in zip(lines, found):
        question, context = line.split("\t")
        encoded = tokenizer(question, context, return_offsets_mapping=True, truncation=True, max_length=longest, return_tensors="pt")
        offsets = encoded.pop("offset_mapping")[0].tolist()
        output = model(**encoded)
        start, end = output.start_logits[0], output.end_logits[0]
        places = [i for i, sequence in enumerate(encoded.sequence_ids(0)) if sequence == 1]
        best = max((start[i].item() + end[j].item(), i, j) for i in places for j in places if i <= j < i + 30)
        text = context[offsets[best[1]][0]:offsets[best[2]][1]]
        if text != said["answer"]:
            differing += 1
            print(f"  {question!r}: transformers {text!r}, Electra {said['answer']!r}")
    return differing


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electra", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("folders", nargs="+")
    args = parser.parse_args()
    lines = open(args.texts, encoding="utf-8").read().splitlines()
    failed = False
    for folder in args.folders:
        config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        name = config.architectures[0]
        model, report = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
        assert not report["missing_keys"] and not report["unexpected_keys"], report
        model.eval()
        longest = config.to_dict().get("electra", {}).get("max_length", config.max_position_embeddings)
        found = ours(args.electra, folder, lines)
        assert len(found) == len(lines)
        if name.endswith("ForSequenceClassification"):
            worst = sequence(model, tokenizer, config, lines, found, longest)
        elif name.endswith("ForTokenClassification"):
            worst = tokens(model, tokenizer, config, lines, found, longest)
        else:
            worst = answers(model, tokenizer, lines, found, longest)
        bad = worst > TOLERANCE
        failed |= bad
        print(f"{folder}: {name}, {len(lines)} texts, largest difference {worst:.2g}{'  TOO LARGE' if bad else ''}")
    sys.exit(failed)


if __name__ == "__main__":
    main()

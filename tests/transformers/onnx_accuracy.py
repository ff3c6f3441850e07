#!/usr/bin/env python3
"""Accuracy of a fine-tuned classifier's ONNX file in 32 and in 8 bits, by onnxruntime, on a task's dev file.

usage: onnx_accuracy.py --electra target/release/electra --model FINE_TUNED_FOLDER --data dev.tsv [--text sentence] [--label label]
needs: pip install onnxruntime tokenizers numpy
"""
import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Tokenizer


def accuracy(path, folder, rows, names):
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(json.loads((Path(folder) / "config.json").read_text())["electra"]["max_length"])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    right = 0
    for text, label in rows:
        encoded = tokenizer.encode(text)
        given = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        given = {given_name: numpy.array([values], numpy.int64) for given_name, values in given.items()}
        logits = session.run(None, {entry.name: given[entry.name] for entry in session.get_inputs()})[0][0]
        best = int(logits.argmax())
        # GLUE's files have numbers for names.
        right += label in (names[best], str(best))
    return right / len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electra", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--text", default="sentence")
    parser.add_argument("--label", default="label")
    args = parser.parse_args()
    with open(args.data, encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = lines.pop(0)
    rows = [(line[columns.index(args.text)], line[columns.index(args.label)]) for line in lines]
    names = {int(key): name for key, name in json.loads((Path(args.model) / "config.json").read_text())["id2label"].items()}
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, more in (("f32", []), ("int8", ["--int8"])):
            path = Path(folder) / f"{name}.onnx"
            subprocess.run([args.electra, "export", args.model, "--format", "onnx", "--out", path, "-q", *more], check=True,
                           stdout=subprocess.DEVNULL)
            found[name] = accuracy(path, args.model, rows, names)
            print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, accuracy {found[name]:.4f} on {len(rows)} examples", flush=True)
    print(f"8 bits lose {100 * (found['f32'] - found['int8']):.2f} points")


if __name__ == "__main__":
    main()

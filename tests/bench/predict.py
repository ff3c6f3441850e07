#!/usr/bin/env python3
"""Times `electra predict` and `electra embed` beside onnxruntime on the model that `electra export --format onnx` wrote, in turns.

Same texts, same cores, f32. onnxruntime is given what is best for it: texts tokenized by the tokenizers library, sorted by length
and padded to the longest of a batch, its own threads; the greatest speed of several batch sizes counts, loading not counted. Of
Electra the whole process counts, loading and writing included.

usage: predict.py --electra target/release/electra --model FINE_TUNED_FOLDER --texts FILE [--rounds 3]
needs: pip install onnxruntime tokenizers numpy
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Tokenizer


class Onnx:
    def __init__(self, folder, path, longest):
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(longest)
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.names = [given.name for given in self.session.get_inputs()]

    def run(self, texts, batch):
        encoded = self.tokenizer.encode_batch(texts)
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i].ids))
        results = [None] * len(texts)
        for start in range(0, len(order), batch):
            rows = order[start:start + batch]
            width = max(len(encoded[i].ids) for i in rows)
            arrays = {name: numpy.zeros((len(rows), width), numpy.int64) for name in self.names}
            for at, i in enumerate(rows):
                count = len(encoded[i].ids)
                arrays["input_ids"][at, :count] = encoded[i].ids
                arrays["attention_mask"][at, :count] = 1
                if "token_type_ids" in arrays:
                    arrays["token_type_ids"][at, :count] = encoded[i].type_ids
            output = self.session.run(None, arrays)[0]
            for at, i in enumerate(rows):
                results[i] = output[at]
        return results


def timed(body):
    began = time.perf_counter()
    body()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electra", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True, help="one text a line")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    texts = Path(args.texts).read_text(encoding="utf-8").splitlines()
    longest = json.loads((Path(args.model) / "config.json").read_text())["electra"]["max_length"]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        table = folder / "texts.jsonl"
        table.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        subprocess.run([args.electra, "export", args.model, "--format", "onnx", "--out", folder / "model.onnx", "-q"],
                       check=True)
        path = folder / "model.onnx"
        onnx = Onnx(args.model, path, longest)

        def electra(command, out):
            subprocess.run([args.electra, command, "--model", args.model, "--input", table, "--text-column", "text", "--output", folder / out,
                            "--device", "cpu", "-q"], check=True)

        onnx.run(texts[:64], 16)
        of_batches = {batch: timed(lambda: onnx.run(texts, batch)) for batch in (4, 8, 16, 32, 64)}
        best = min(of_batches, key=of_batches.get)
        print(f"onnxruntime {onnxruntime.__version__}:", ", ".join(f"{b} at a time {s:.2f} s" for b, s in of_batches.items()))
        for command, out in (("predict", "said.jsonl"), ("embed", "vectors.npy")):
            ratios = []
            for _ in range(args.rounds):
                ours, theirs = timed(lambda: electra(command, out)), timed(lambda: onnx.run(texts, best))
                ratios.append(theirs / ours)
                print(f"{command}: Electra {ours:.2f} s ({len(texts) / ours:.0f} texts/s), onnxruntime {theirs:.2f} s, ratio {ratios[-1]:.2f}",
                      flush=True)
            print(f"{command}: median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()

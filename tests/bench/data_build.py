"""Times `electra data build` beside Python's `tokenizers` on the same lines, in one run on the same machine.

    pip install tokenizers
    cargo build --release
    python tests/bench/data_build.py --electra target/release/electra --vocab vocab.txt --corpus corpus.txt

Python's share of the work is the least that does the same: read the file, BertWordPieceTokenizer.encode_batch over its lines in
batches (Rust and all cores inside), keep the ids in one 16-bit array. It writes nothing. Electra's is the
whole command: start, tokenize, split, write, checksum and sync. The two take turns, and the best of the
rounds counts for both. Both must give the same number of tokens.
"""

import argparse
import array
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

BATCH_LINES = 1000


def python_round(vocab: str, corpus: str) -> None:
    """Runs in a process of its own, so that its peak memory is its own; prints one JSON object."""
    from tokenizers import BertWordPieceTokenizer

    start = time.perf_counter()
    tokenizer = BertWordPieceTokenizer(vocab, lowercase=True)
    tokens = array.array("H")
    batch = []

    def encode():
        for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):
            tokens.extend(encoding.ids)
        batch.clear()

    with open(corpus, encoding="utf-8") as lines:
        for line in lines:
            line = line.strip()
            if line:
                batch.append(line)
                if len(batch) == BATCH_LINES:
                    encode()
    encode()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"tokens": len(tokens), "seconds": seconds, "peak_mb": peak}))


def electra_round(electra: str, tokenizer: str, corpus: str, out: str) -> dict:
    shutil.rmtree(out, ignore_errors=True)
    command = [electra, "--quiet", "data", "build", "--input", corpus, "--tokenizer", tokenizer, "--out", out]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"electra ended with status {status}")
    with open(os.path.join(out, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    tokens = manifest["train"]["tokens"] + manifest["validation"]["tokens"]
    return {"tokens": tokens, "seconds": seconds, "peak_mb": usage.ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electra", default="target/release/electra")
    parser.add_argument("--vocab", required=True, help="an uncased vocab.txt")
    parser.add_argument("--corpus", required=True, help="plain text, one paragraph a line")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python-round", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.python_round:
        python_round(arguments.vocab, arguments.corpus)
        return
    results = {"electra data build": [], "python tokenizers": []}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = os.path.join(folder, "tokenizer")
        command = [arguments.electra, "--quiet", "tokenizer", "import", arguments.vocab, "--uncased", "--out", tokenizer]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for _ in range(arguments.rounds):
            again = [sys.executable, __file__, "--python-round", "--vocab", arguments.vocab, "--corpus", arguments.corpus]
            printed = subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout
            results["python tokenizers"].append(json.loads(printed))
            out = os.path.join(folder, "data")
            results["electra data build"].append(electra_round(arguments.electra, tokenizer, arguments.corpus, out))
    best = {name: min(rounds, key=lambda result: result["seconds"]) for name, rounds in results.items()}
    for name, result in best.items():
        speed = result["tokens"] / result["seconds"] / 1e6
        print(f"{name:20} {result['tokens']:>12,} tokens in {result['seconds']:6.2f} s: {speed:6.3f} M tokens/s, peak {result['peak_mb']:.0f} MB")
    electra, python = best["electra data build"], best["python tokenizers"]
    if electra["tokens"] != python["tokens"]:
        sys.exit("the two gave different numbers of tokens")
    ratio = python["seconds"] / electra["seconds"]
    print(f"ratio of tokens/s: {ratio:.2f}   ({os.cpu_count()} cores, {arguments.rounds} rounds)")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Times a fine-tuning by Hugging Face's Trainer and by Electra, in turns: same weights, data, batch, lengths and cores.

Both read the same head of the training file, group texts by their length, pad each batch to its longest, use dropout, clip, and
update every parameter by AdamW with warmup and linear decay. Neither evaluates or writes checkpoints while it is timed: of
Electra the sum of its steps' seconds (timings.jsonl), of the Trainer `train_runtime`.

usage: finetune.py --electra target/release/electra --model FOLDER --data FILE.tsv [--text COLUMN] [--label COLUMN]
       [--no-header] [--rows 2048] [--rounds 3]
needs: pip install torch transformers accelerate
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments


def read(path, text, label, header, rows):
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = lines.pop(0) if header else [str(i) for i in range(len(lines[0]))]
    lines = lines[:rows]
    return [line[columns.index(text)] for line in lines], [int(line[columns.index(label)]) for line in lines]


class Rows(torch.utils.data.Dataset):
    def __init__(self, tokenizer, texts, labels, max_length):
        self.rows = tokenizer(texts, truncation=True, max_length=max_length)
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        row = {key: self.rows[key][i] for key in ("input_ids", "token_type_ids", "attention_mask")}
        return row | {"labels": self.labels[i]}


def of_trainer(args, texts, labels, out):
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=2)
    settings = TrainingArguments(
        output_dir=out, num_train_epochs=1, per_device_train_batch_size=args.batch_size, learning_rate=args.learning_rate,
        warmup_steps=0.1, lr_scheduler_type="linear", weight_decay=0.0, max_grad_norm=1.0, save_strategy="no",
        logging_steps=20, report_to="none", use_cpu=True, disable_tqdm=True, train_sampling_strategy="group_by_length",
    )
    trainer = Trainer(model=model, args=settings, train_dataset=Rows(tokenizer, texts, labels, args.max_length),
                      data_collator=DataCollatorWithPadding(tokenizer))
    return trainer.train().metrics["train_runtime"]


def of_electra(args, texts, labels, out):
    table = Path(out) / "train.tsv"
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["text", "label"])
        writer.writerows(zip(texts, labels))
    dev = Path(out) / "dev.tsv"
    dev.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in zip(["yes", "no"], [0, 1])))
    run = Path(out) / "run"
    subprocess.run(
        [args.electra, "finetune", "--model", args.imported, "--task", "csv", "--data", table, "--dev", dev, "--out", run,
         "--text-column", "text", "--label-column", "label", "--epochs", "1", "--batch-size", str(args.batch_size),
         "--learning-rate", str(args.learning_rate), "--max-length", str(args.max_length), "--device", "cpu", "-q"],
        check=True,
    )
    return json.loads((run / "timings.jsonl").read_text().splitlines()[-1])["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electra", required=True)
    parser.add_argument("--model", required=True, help="a folder that transformers loads")
    parser.add_argument("--data", required=True)
    parser.add_argument("--text", default="sentence")
    parser.add_argument("--label", default="label")
    parser.add_argument("--no-header", action="store_true")
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    args = parser.parse_args()
    texts, labels = read(args.data, args.text, args.label, not args.no_header, args.rows)
    with tempfile.TemporaryDirectory() as folder:
        args.imported = str(Path(folder) / "imported")
        subprocess.run([args.electra, "import", args.model, "--out", args.imported, "-q"], check=True)
        ratios = []
        for number in range(args.rounds):
            place = Path(folder) / str(number)
            place.mkdir()
            ours, theirs = of_electra(args, texts, labels, place), of_trainer(args, texts, labels, place)
            ratios.append(theirs / ours)
            print(f"round {number + 1}: Electra {ours:.1f} s, Trainer {theirs:.1f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

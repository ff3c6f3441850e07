#!/usr/bin/env python3
"""Gathers what run.sh left into RESULTS/card.json, and prints it as a table. usage: summary.py RESULTS"""
import json
import pathlib
import re
import sys

results = pathlib.Path(sys.argv[1])


def text(name):
    path = results / name
    return path.read_text() if path.exists() else ""


def objects(name):
    """The JSON objects of a part: the whole of it, or one a line; none where it failed."""
    found = text(name)
    try:
        return [json.loads(found)]
    except ValueError:
        lines = [line for line in found.splitlines() if line.startswith("{")]
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        return []


def first(name):
    return next(iter(objects(name)), None)


def parts():
    rows = (line.split("\t") for line in text("parts.tsv").splitlines())
    return {name: {"exit_code": int(code), "seconds": int(seconds)} for name, code, seconds in rows}


def verification():
    report = first("verify.out") or {"adapters": []}
    checks = [check for adapter in report["adapters"] for check in adapter["checks"]]
    failed = [check for check in checks if not check["passed"]]
    return {"cases": len(checks), "failed": failed, "slowest": max(checks, key=lambda c: c["seconds"], default=None)}


def tests(name):
    found = re.search(r"(\d+) passed; (\d+) failed", text(f"{name}.out"))
    skipped = sorted(set(re.findall(r"^NOT RUN: (\S+)", text(f"{name}.out") + text(f"{name}.err"), re.M)))
    return {"passed": int(found[1]), "failed": int(found[2]), "skipped": skipped} if found else None


def steps(roofline):
    table = {}
    for path in sorted(results.glob("step_*.out")):
        step = first(path.name)
        if step is None:
            continue
        keys = ("preset", "batch", "seq", "micro_batch", "precision", "seconds_per_step", "tokens_per_second", "speedup",
                "forward_seconds", "backward_seconds", "optimizer_seconds", "dispatches", "peak_device_bytes", "flops_per_step")
        row = {key: step.get(key) for key in keys}
        if roofline and row["flops_per_step"]:
            rate = row["flops_per_step"] / row["seconds_per_step"]
            row["share_of_best_product"] = rate / roofline["flops_per_second"]
        row["profile"] = step.get("profile", [])[:12]
        table[path.stem] = row
    return table


def curve():
    """Losses of the same steps on the card and on the CPU: the same samples but where two are nearly equal."""
    def rows(name):
        lines = (json.loads(line) for line in text(name).splitlines())
        return {row["step"]: row for row in lines if row["split"] == "train"}

    card, cpu = rows("train_gpu.jsonl"), rows("train_cpu.jsonl")
    shared = sorted(card.keys() & cpu.keys())
    names = ("loss", "generator_loss", "discriminator_loss")
    points = [{"step": step} | {name: [card[step][name], cpu[step][name]] for name in names} for step in shared]
    differences = [abs(a - b) / abs(b) for point in points for a, b in [point["loss"]]]
    return {"card_and_cpu": points, "largest_relative_difference_of_loss": max(differences, default=None)}


def main():
    kernels = first("kernels.out") or {}
    roofline = kernels.get("roofline")
    report = {
        "card": text("card.txt").strip(),
        "devices": first("devices.out"),
        "parts": parts(),
        "verification": verification(),
        "kernel_tests": tests("kernel_tests"),
        "golden_tests": tests("golden_tests"),
        "roofline": roofline,
        "steps": steps(roofline),
        "torch": objects("torch.out"),
        "kernels": kernels.get("kernels", []),
        "training": curve(),
    }
    (results / "card.json").write_text(json.dumps(report, indent=1) + "\n")

    print(f"\n{report['card'] or 'no card that nvidia-smi knows'}")
    failed = [f"{name} (exit {part['exit_code']})" for name, part in report["parts"].items() if part["exit_code"] != 0]
    print("all parts ended well" if not failed else "ended otherwise: " + ", ".join(failed))
    wrong = report["verification"]["failed"]
    print(f"verification: {report['verification']['cases'] - len(wrong)} of {report['verification']['cases']} cases agree")
    print(f"tests: kernels {report['kernel_tests']}, golden {report['golden_tests']}")
    number = lambda value, form: "" if value is None else format(value, form)
    print(f"{'step':<28}{'batch':>6}{'seq':>6}{'ms':>10}{'tokens/s':>12}{'launches':>10}{'GB':>8}{'of best':>9}")
    for name, row in report["steps"].items():
        gigabytes = (row["peak_device_bytes"] or 0) / 1e9
        print(f"{name:<28}{row['batch']:>6}{row['seq']:>6}{1e3 * row['seconds_per_step']:>10.2f}{row['tokens_per_second']:>12,.0f}"
              f"{number(row['dispatches'], 'd'):>10}{gigabytes:>8.2f}{number(row.get('share_of_best_product'), '.0%'):>9}")
    for row in report["torch"]:
        if "error" not in row:
            gigabytes = (row["peak_device_bytes"] or 0) / 1e9
            print(f"{'torch ' + row['mode']:<28}{row['batch']:>6}{row['seq']:>6}{1e3 * row['seconds_per_step']:>10.2f}"
                  f"{row['tokens_per_second']:>12,.0f}{'':>10}{gigabytes:>8.2f}")
    difference = report["training"]["largest_relative_difference_of_loss"]
    print(f"training: {len(report['training']['card_and_cpu'])} rows, losses within {number(difference, '.2%')} of the CPU's")
    print(f"all of it: {results / 'card.json'}")


main()

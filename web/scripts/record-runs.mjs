// Writes src/recorded/runs.json from folders of runs, for the chapters on generators' sizes and ways of training.
// node scripts/record-runs.mjs FOLDER
//
// Each run in FOLDER is: electra pretrain --preset first --data DATA --out FOLDER/NAME --set train.steps=3000
//   --set train.validate_every=500 --set seed=0, and what its NAME says:
//   rtd-uniform, rtd-unigram             --set objective.generator=uniform (unigram)
//   rtd-0.125, rtd-0.25, rtd-0.5, rtd-1  --set model.generator_size=0.125 (0.25, 0.5, 1)
//   two_stage, adversarial               --set objective.name=two_stage (adversarial); two_stage with generator_size 1
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node scripts/record-runs.mjs FOLDER");
  process.exit(2);
}
const STEPS = 3000;

/** [step, value] of held-out rows, or null where there is no whole run. */
function points(name, key) {
  const path = join(folder, name, "metrics.jsonl");
  // Networks are exported when a run has come to its end.
  if (!existsSync(join(folder, name, "discriminator"))) return null;
  // Metrics that do not exist yet, as a discriminator's in the first of two stages, are no numbers.
  const rows = readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line.replaceAll("NaN", "null")));
  return rows.filter((row) => row.split === "validation" && typeof row[key] === "number").map((row) => [row.step, Number(row[key].toFixed(3))]);
}

const SIZES = { uniform: "rtd-uniform", unigram: "rtd-unigram", "1/8": "rtd-0.125", "1/4": "rtd-0.25", "1/2": "rtd-0.5", 1: "rtd-1" };
const size = ["uniform", "unigram", "1/8", "1/4", "1/2", "1"].flatMap((generator) => {
  const [swapped, own] = ["swap_auc", "discriminator_auc"].map((key) => points(SIZES[generator], key));
  return swapped ? [{ generator, swapped, own }] : [];
});
const training = Object.entries({ joint: "rtd-0.25", two_stage: "two_stage", adversarial: "adversarial" }).flatMap(([algorithm, name]) => {
  const swapped = points(name, "swap_auc");
  return swapped ? [{ algorithm, swapped }] : [];
});
const source = "docs/LOG.md, 2026-11-27: generators for the page, and the page itself";
writeFileSync(new URL("../src/recorded/runs.json", import.meta.url), `${JSON.stringify({ source, steps: STEPS, size, training })}\n`);
for (const { generator, swapped, own } of size) console.log(generator, swapped.at(-1)?.[1], own.at(-1)?.[1]);
for (const { algorithm, swapped } of training) console.log(algorithm, swapped.at(-1)?.[1]);

// Writes src/recorded/scores.json: what a model says of the sentences of sentences.json, as `electra detect` says it.
// node scripts/record-scores.mjs PROGRAM MODEL [NAME]     PROGRAM is electra's executable, MODEL a run's or an exported folder.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const [program, model, name = model] = process.argv.slice(2);
if (!program || !model) {
  console.error("usage: node scripts/record-scores.mjs PROGRAM MODEL [NAME]");
  process.exit(2);
}
const here = (path) => new URL(path, import.meta.url);
const texts = JSON.parse(readFileSync(here("sentences.json"), "utf8"));
const lines = execFileSync(program, ["detect", "--quiet", "--json", "--model", model, ...texts], { encoding: "utf8" }).trim().split("\n");
// The program counts bytes, the page UTF-16 units.
const unit = (text, byte) => Buffer.from(text, "utf8").subarray(0, byte).toString("utf8").length;
const sentences = lines.map((line, index) => {
  const text = texts[index];
  const tokens = JSON.parse(line).tokens.map((token) => {
    const { start, end } = token;
    return { token: token.token, id: token.id ?? 0, start: unit(text, start), end: unit(text, end), replaced: Number(token.probability.toFixed(4)) };
  });
  return { text, tokens };
});
writeFileSync(here("../src/recorded/scores.json"), `${JSON.stringify({ model: name, sentences })}\n`);

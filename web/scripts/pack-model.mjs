// Puts a run's networks where the page fetches them: weights in half precision, each file gzipped, a manifest with sizes and hashes, and a
// model card. The program carries the same files.
// node scripts/pack-model.mjs EXPORT METRICS TEXT
//   EXPORT has discriminator/ and generator/, as `electra export RUN --license LICENCE` writes them; METRICS is the run's metrics.jsonl;
//   TEXT is a sentence for the card: what it was trained on, and under which licences that is.
// A network that EXPORT lacks stays as it is: the one to keep and the one that proposes words need not come of the same run.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const [run, metrics, text] = process.argv.slice(2);
if (!run || !metrics || !text) {
  console.error("usage: node scripts/pack-model.mjs EXPORT METRICS TEXT");
  process.exit(2);
}
const name = "electra-mini";
const out = new URL("../public/models/", import.meta.url).pathname;

/** Round to nearest, ties to even, as Rust's `half` does; weights are far from its ends. */
function half(value) {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0];
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 255) - 127;
  const fraction = bits & 0x7fffff;
  if (exponent > 15) throw new Error(`${value} is beyond half precision: keep the weights in f32`);
  if (exponent < -25) return sign;
  const [all, shift] = exponent < -14 ? [fraction | 0x800000, -1 - exponent] : [((exponent + 15) << 23) | fraction, 13];
  const kept = all >>> shift;
  const rest = all & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (kept + (rest > middle || (rest === middle && kept & 1) ? 1 : 0));
}

function inHalf(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString("utf8"));
  const parts = [];
  let offset = 0;
  const next = {};
  for (const [tensor, { dtype, shape, data_offsets: [from, to] = [] }] of Object.entries(header)) {
    if (tensor === "__metadata__") {
      next[tensor] = header[tensor];
      continue;
    }
    if (dtype !== "F32") throw new Error(`${tensor} is ${dtype}, not F32`);
    const source = bytes.subarray(8 + length + from, 8 + length + to);
    const data = Buffer.alloc(source.length / 2);
    for (let index = 0; index < source.length / 4; index += 1) data.writeUInt16LE(half(source.readFloatLE(4 * index)), 2 * index);
    next[tensor] = { dtype: "F16", shape, data_offsets: [offset, offset + data.length] };
    offset += data.length;
    parts.push(data);
  }
  let text = JSON.stringify(next);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, Buffer.from(text, "utf8"), ...parts]);
}

/** The card of the exported discriminator, with the run's curve and where its text comes from. */
function card() {
  const rows = readFileSync(metrics, "utf8").trim().split("\n").map((line) => JSON.parse(line)).filter(({ split }) => split === "validation");
  const shown = rows.filter((_, index) => index === rows.length - 1 || index % Math.ceil(rows.length / 12) === 0);
  const number = (value) => (typeof value === "number" ? value.toFixed(3) : "");
  const columns = ["discriminator_auc", "unigram_auc", "bigram_auc", "swap_auc", "swap_first", "generator_loss", "generator_accuracy"];
  const curve = [
    "| step | finds its generator's words (AUC) | by frequency | by the word before | finds swapped words (AUC) | ranks them first | generator, nats | accuracy |",
    "|---|---|---|---|---|---|---|---|",
    ...shown.map((row) => `| ${row.step} | ${columns.map((column) => number(row[column])).join(" | ")} |`),
  ];
  const head = `# ${name}\n\nThe two networks of the page, and of \`electra detect\` and \`electra fill\` where no other is named. Weights in half precision, ${(all / 1e6).toFixed(1)} MB packed.\n`;
  const written = readFileSync(join(run, "discriminator", "README.md"), "utf8");
  const body = written.slice(written.indexOf("\nAn ELECTRA network")).replace(/\n## Use\n[\s\S]*?(?=\n## Limits)/, `\n## How it learnt\n\nHeld-out text; detectors that know counts alone stand beside the network, on the same tokens.\n\n${curve.join("\n")}\n\n## Text\n\n${text}\n`);
  return `${written.slice(0, written.indexOf("# "))}${head}${body}`;
}

const before = existsSync(join(out, "manifest.json")) ? JSON.parse(readFileSync(join(out, "manifest.json"), "utf8")) : {};
const manifest = { name };
for (const role of ["discriminator", "generator"]) {
  if (!existsSync(join(run, role)) && before[role]) {
    manifest[role] = before[role];
    continue;
  }
  manifest[role] = {};
  rmSync(join(out, role), { recursive: true, force: true });
  for (const file of ["config.json", "tokenizer.json", "model.safetensors"]) {
    const bytes = readFileSync(join(run, role, file));
    const content = file.endsWith(".safetensors") ? inHalf(bytes) : bytes;
    const sha256 = createHash("sha256").update(content).digest("hex");
    // Both networks read by one tokenizer, which is fetched once.
    const same = manifest.discriminator[file];
    if (same?.sha256 === sha256) {
      manifest[role][file] = same;
      continue;
    }
    const packed = gzipSync(content, { level: 9 });
    const path = `${role}/${file}.gz`;
    mkdirSync(join(out, role), { recursive: true });
    writeFileSync(join(out, path), packed);
    manifest[role][file] = { path, size: packed.length, sha256 };
  }
}
if (manifest.generator["tokenizer.json"].path !== manifest.discriminator["tokenizer.json"].path) throw new Error("the networks have different tokenizers");
const sizes = new Map([...Object.values(manifest.discriminator), ...Object.values(manifest.generator)].map(({ path, size }) => [path, size]));
const all = [...sizes.values()].reduce((sum, size) => sum + size, 0);
writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(join(out, "README.md"), card());
console.log(`${name}: ${(all / 1e6).toFixed(2)} MB in ${out}`);

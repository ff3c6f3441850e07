// Puts a run's networks where the page fetches them: weights in half precision, each file gzipped, and a manifest with sizes and hashes.
// node scripts/pack-model.mjs RUN NAME     RUN has discriminator/ and generator/, as `electra pretrain` leaves them.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const [run, name] = process.argv.slice(2);
if (!run || !name) {
  console.error("usage: node scripts/pack-model.mjs RUN NAME");
  process.exit(2);
}
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

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const manifest = { name };
let all = 0;
for (const role of ["discriminator", "generator"]) {
  manifest[role] = {};
  for (const file of ["config.json", "tokenizer.json", "model.safetensors"]) {
    const bytes = readFileSync(join(run, role, file));
    const content = file.endsWith(".safetensors") ? inHalf(bytes) : bytes;
    const packed = gzipSync(content, { level: 9 });
    const sha256 = createHash("sha256").update(content).digest("hex");
    const path = `${sha256.slice(0, 12)}-${file}.gz`;
    writeFileSync(join(out, path), packed);
    manifest[role][file] = { path, size: packed.length, sha256 };
    all += packed.length;
  }
}
writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
console.log(`${name}: ${(all / 1e6).toFixed(2)} MB in ${out}`);

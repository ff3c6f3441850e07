// Measures what the page promises, and prints it beside its budgets; and the engine beside onnxruntime-web, with the same network and
// texts, in turns, in the same browser.
// npm run budgets [-- FOLDER [--webgpu]]     after `cargo xtask web --release`. FOLDER is a discriminator's, with its ONNX file:
//   electra export RUN --out exported && electra export RUN --format onnx --out exported/discriminator/model.onnx
//   npm run budgets -- exported/discriminator
// --webgpu measures SwiftShader's WebGPU, too, which takes some ten minutes. Times are worth something on a quiet machine alone; tables say the median.
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, resolve } from "node:path";
import { chromium } from "@playwright/test";
import { besideOnnxruntime, fineTuneStep, hasOnnx, type Timed } from "./budgets/engine";
import { pageRows } from "./budgets/page";
import { sizes } from "./budgets/sizes";
import { print, type Row } from "./budgets/table";
import { peers } from "./peers.mjs";
import { SWIFTSHADER, chromiumWith } from "../tests/chromium.mjs";
import { serve } from "../tests/serve.mjs";

const words = process.argv.slice(2).filter((word) => word !== "--");
const withWebGpu = words.includes("--webgpu");
const folder = words.find((word) => !word.startsWith("--"));
const dist = new URL("../dist/", import.meta.url);
const fail = (message: string): never => {
  console.error(message);
  process.exit(2);
};
if (!existsSync(new URL("index.html", dist))) fail("no page in web/dist: build it first (cargo xtask web --release)");
if (folder && !(existsSync(`${folder}/vocab.txt`) && hasOnnx(folder))) fail(`${folder} has no vocab.txt and model.onnx: this script's first lines say how to make it`);

const ort = folder ? dirname(peers().resolve("onnxruntime-web/wasm")) : "";
const server = await serve(dist.pathname, 0, "/a/path/", folder ? { "/ort/": ort } : {});
const address = server.address();
const origin = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
const browser = await chromium.launch(chromiumWith(...(withWebGpu ? SWIFTSHADER : [])));
const empty = async () => (await browser.newContext({ baseURL: `${origin}/a/path/` })).newPage();

const compared = (timed: readonly Timed[], limit?: number): Row[] =>
  timed.flatMap(({ tokens, ours, theirs, best, difference }): Row[] => [
    { what: `${tokens} tokens, Electra`, value: ours, unit: "ms", ...(tokens === 32 && limit ? { most: limit } : {}), note: `fastest ${best.ours.toFixed(1)}` },
    { what: `${tokens} tokens, onnxruntime-web`, value: theirs, unit: "ms", note: `fastest ${best.theirs.toFixed(1)}; Electra is ${(theirs / ours).toFixed(2)} times as fast (${(best.theirs / best.ours).toFixed(2)} by the fastest); logits differ by ${difference.toExponential(1)} at most` },
  ]);

try {
  console.log(`Chromium ${browser.version()}, ${cpus()[0]?.model ?? "processor"} (${cpus().length} cores)`);
  print("Sizes", sizes());
  print("The page, on the processor", await pageRows(browser, `${origin}/a/path/`));
  print("Training, on the processor", [await fineTuneStep(await empty())]);
  if (folder) {
    const name = resolve(folder);
    print(`Scoring with ${name}, on the processor, one thread each (Electra's with tokenizer and messages)`, compared(await besideOnnxruntime(await empty(), "cpu", folder, `${origin}/ort/ort.wasm.min.mjs`), 80));
    // Scoring alone: a step of `tiny` takes a processor that imitates a card more than a minute.
    if (withWebGpu) print(`Scoring with ${name}, on SwiftShader's WebGPU (a graphics card is allowed 30 ms)`, compared(await besideOnnxruntime(await empty(), "webgpu", folder, `${origin}/ort/ort.webgpu.min.mjs`)));
  }
} finally {
  await browser.close();
  server.close();
}

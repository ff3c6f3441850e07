// The engine by itself, in an empty page: how long a request takes, and how long onnxruntime-web takes for the same network and texts.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import type { Progress } from "../../src/engine/protocol";
import { EngineInPage } from "../../tests/browser/engine";
import { SPECIAL, formulaFolder, type Config } from "../../tests/networks";
import { median, type Row } from "./table";

type Asked = (name: string, ask: unknown) => Promise<{ answer: { tokens: { id: number; replaced: number }[] }; progress: (Progress & { at: number })[] }>;

/** Words of the sample, by which texts of any length are made. */
const WORDS = [...new Set(readFileSync(new URL("../../src/samples/reviews.tsv", import.meta.url), "utf8").match(/\b[a-z]{2,}\b/g))];
const ROUNDS = 25;
const WARM_UP = 8;

export interface Timed {
  tokens: number;
  ours: number;
  theirs: number;
  /** The fastest of each: what a machine with nothing else to do would show. */
  best: { ours: number; theirs: number };
  /** Largest difference of a logit. */
  difference: number;
}

const read = (folder: string, ...names: string[]) => Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));

/** `folder`: a discriminator's, with model.onnx beside it. Each text is asked of both in turns, in one page. */
export async function besideOnnxruntime(page: Page, backend: "cpu" | "webgpu", folder: string, onnxruntime: string): Promise<Timed[]> {
  const engine = new EngineInPage(page, backend);
  await engine.open();
  const loaded = await engine.load(read(folder, "config.json", "model.safetensors", "tokenizer.json"), "discriminator");
  const vocabulary = readFileSync(join(folder, "vocab.txt"), "utf8").split("\n");
  const ends = [vocabulary.indexOf("[CLS]"), vocabulary.indexOf("[SEP]")] as const;
  await page.route("**/model.onnx", (route) => route.fulfill({ body: readFileSync(join(folder, "model.onnx")) }));
  await page.evaluate(
    async ([onnxruntime, provider]) => {
      // As text, since what runs this script would make another thing of an import.
      const ort = await new Function("url", "return import(url)")(onnxruntime);
      ort.env.wasm.numThreads = 1;
      const model = new Uint8Array(await (await fetch("./model.onnx")).arrayBuffer());
      Object.assign(globalThis, { ort, session: await ort.InferenceSession.create(model, { executionProviders: [provider] }) });
    },
    [onnxruntime, backend === "cpu" ? "wasm" : "webgpu"] as const,
  );
  const timed: Timed[] = [];
  for (const tokens of (backend === "cpu" ? [16, 32, 64, 128] : [32, 128]).filter((count) => count - 2 <= loaded.maxTokens)) {
    const text = textOf(tokens, vocabulary);
    const { ours, theirs, difference } = await page.evaluate(
      async ([backend, model, text, wanted, first, last, rounds, warmUp]) => {
        const here = globalThis as unknown as Record<string, Asked> & { ort: any; session: any };
        const score = () => here[`engine-${backend}`]!("score", { model, text });
        const { tokens } = (await score()).answer;
        if (tokens.length !== wanted) throw new Error(`the text has ${tokens.length} tokens, not ${wanted}`);
        const ids = BigInt64Array.from([first, ...tokens.map(({ id }) => id), last], BigInt);
        const tensor = (values: BigInt64Array) => new here.ort.Tensor("int64", values, [1, values.length]);
        const names: Record<string, unknown> = { input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1n)), token_type_ids: tensor(ids.map(() => 0n)) };
        const feeds = Object.fromEntries(here.session.inputNames.map((name: string) => [name, names[name]]));
        const run = async () => (await here.session.run(feeds))[here.session.outputNames[0]].getData() as Promise<Float32Array>;
        const logits = await run();
        const difference = Math.max(...tokens.map(({ replaced }, index) => Math.abs(Math.log(replaced / (1 - replaced)) - logits[index + 1]!)));
        const [ours, theirs]: [number[], number[]] = [[], []];
        for (let round = -warmUp; round < rounds; round += 1) {
          const begun = performance.now();
          await score();
          const between = performance.now();
          await run();
          const ended = performance.now();
          if (round < 0) continue;
          ours.push(between - begun);
          theirs.push(ended - between);
        }
        return { ours, theirs, difference };
      },
      [backend, loaded.model, text, tokens - 2, ...ends, backend === "cpu" ? ROUNDS : 8, backend === "cpu" ? WARM_UP : 3] as const,
    );
    timed.push({ tokens, ours: median(ours), theirs: median(theirs), best: { ours: Math.min(...ours), theirs: Math.min(...theirs) }, difference });
  }
  return timed;
}

/** A text of so many tokens, [CLS] and [SEP] counted: words that the vocabulary has whole. */
function textOf(tokens: number, vocabulary: readonly string[]): string {
  const whole = WORDS.filter((word) => vocabulary.includes(word));
  if (whole.length === 0) throw new Error("the vocabulary has none of the sample's words");
  return Array.from({ length: tokens - 2 }, (_, index) => whole[index % whole.length]).join(" ");
}

/** A step of fine-tuning the preset `tiny`, 16 texts of 64 tokens. */
export async function fineTuneStep(page: Page): Promise<Row> {
  const engine = new EngineInPage(page, "cpu");
  await engine.open();
  const vocabulary = [...SPECIAL, ...WORDS, ...Array.from({ length: 8192 - SPECIAL.length - WORDS.length }, (_, index) => `filler${index}`)];
  const config: Config = { vocab_size: vocabulary.length, embedding_size: 128, hidden_size: 128, num_hidden_layers: 4, num_attention_heads: 2, intermediate_size: 512, max_position_embeddings: 128 };
  const { model } = await engine.load(formulaFolder(config, vocabulary), "discriminator");
  const row = (index: number) => `${Array.from({ length: 70 }, (_, at) => WORDS[(index * 31 + at * 7) % WORDS.length]).join(" ")}\t${index % 2 ? "good" : "bad"}`;
  const table = `review\tlabel\n${Array.from({ length: 400 }, (_, index) => row(index)).join("\n")}\n`;
  const times = await page.evaluate(
    async ([model, text]) => {
      const asked = (globalThis as unknown as Record<string, Asked>)["engine-cpu"]!;
      const options = { table: { name: "long.tsv", bytes: new TextEncoder().encode(text) }, text: "review", label: "label", epochs: 1, batchSize: 16, learningRate: 5e-4, maxLength: 64, seed: 1, fromScratch: false, steps: 20 };
      const { progress } = await asked("finetune", { model, options });
      return progress.flatMap((one) => (one.kind === "step" ? [one.at] : []));
    },
    [model, table] as const,
  );
  const each = times.slice(2).map((at, index) => at - (times[index + 1] ?? at));
  return { what: "a step of fine-tuning tiny, 16 x 64 tokens", value: median(each), unit: "ms", most: 600 };
}

export const hasOnnx = (folder: string) => existsSync(join(folder, "model.onnx"));

// The built worker itself, asked by its protocol in an empty page of its origin: what it gives is the engine's alone.
import { readFileSync, readdirSync } from "node:fs";
import type { Page } from "@playwright/test";
import type { BackendChoice, Loaded, Progress, RequestName, Requests, Status } from "../../src/engine/protocol";
import { SPECIAL, asText, configOf, formulaFolder, formulaTensor, shapesOf, tensorsOf, type Config } from "../networks";

type Asked = (name: string, ask: unknown) => Promise<{ answer: unknown; progress: unknown[] }>;

const DIST = new URL("../../dist/assets/", import.meta.url);
/** Golden values: those of the repository, or of another folder of the same layout. */
const FIXTURES = process.env["ELECTRA_FIXTURES"] ?? new URL("../../../tests/fixtures", import.meta.url).pathname;

export class EngineInPage {
  constructor(private readonly page: Page, private readonly backend: BackendChoice) {}

  /** Begins the worker and opens its device. */
  async open(): Promise<Status> {
    const worker = readdirSync(DIST).find((name) => /^worker-.*\.js$/.test(name));
    if (!worker) throw new Error(`${DIST.pathname} has no worker: build the page first (cargo xtask web)`);
    if (!this.page.url().endsWith("/manifest.json")) await this.page.goto("./models/manifest.json");
    await this.page.evaluate(
      ([name, url]) => {
        const worker = new Worker(url!, { type: "module" });
        const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void; progress: unknown[] }>();
        let last = 0;
        worker.onmessage = ({ data }) => {
          const one = waiting.get(data.id)!;
          if (data.type === "progress") one.progress.push({ ...data.progress, at: performance.now() });
          else if (data.type === "done") one.resolve({ answer: data.answer, progress: one.progress });
          else one.reject(new Error(`${data.error.kind}: ${data.error.message}`));
        };
        const asked: Asked = (name, ask) =>
          new Promise((resolve, reject) => {
            last += 1;
            waiting.set(last, { resolve: resolve as (value: unknown) => void, reject, progress: [] });
            worker.postMessage({ id: last, name, ask });
          });
        Object.assign(globalThis, { [`engine-${name}`]: asked });
      },
      [this.backend, new URL(`../assets/${worker}`, this.page.url()).href],
    );
    return this.ask("probe", { backend: this.backend });
  }

  async ask<Name extends RequestName>(name: Name, ask: Requests[Name]["ask"]): Promise<Requests[Name]["answer"]> {
    return (await this.told(name, ask)).answer;
  }

  /** The answer, and what was told before it, and `at` which time. Of the answer only what JSON can hold. */
  async told<Name extends RequestName>(name: Name, ask: Requests[Name]["ask"]): Promise<{ answer: Requests[Name]["answer"]; progress: Progress[] }> {
    const told = await this.page.evaluate(
      async ([backend, name, ask]) => {
        const asked = (globalThis as unknown as Record<string, Asked>)[`engine-${backend}`]!;
        const { answer, progress } = await asked(name, ask);
        return { answer: JSON.parse(JSON.stringify(answer, (_, value) => (ArrayBuffer.isView(value) ? null : value))) as unknown, progress };
      },
      [this.backend, name, ask] as const,
    );
    return told as { answer: Requests[Name]["answer"]; progress: Progress[] };
  }

  /** Loads a folder; its files go by the way of a request, since they are large. */
  async load(files: Record<string, Buffer>, kind: Loaded["kind"]): Promise<Loaded> {
    const at = new URL("./test-folder/", this.page.url()).href;
    await this.page.route(`${at}**`, (route) => route.fulfill({ body: files[new URL(route.request().url()).pathname.split("/").pop()!]! }));
    const loaded = await this.page.evaluate(
      async ([backend, at, names, kind]) => {
        const files: Record<string, Uint8Array> = {};
        for (const name of names) files[name] = new Uint8Array(await (await fetch(new URL(name, at))).arrayBuffer());
        const asked = (globalThis as unknown as Record<string, Asked>)[`engine-${backend}`]!;
        return (await asked("load", { files, kind })).answer;
      },
      [this.backend, at, Object.keys(files), kind] as const,
    );
    await this.page.unroute(`${at}**`);
    return loaded as Loaded;
  }

  /** The largest difference between a network's logits of `ids` and what they must be. */
  async difference(config: string, tensors: Parameters<typeof asText>[1], ids: number[], types: number[], wanted: ArrayLike<number>): Promise<number> {
    const { files, text } = asText(config, tensors, ids, types);
    const { model } = await this.load(files, "discriminator");
    const { tokens } = await this.ask("score", { model, text });
    await this.ask("unload", { model });
    if (tokens.map(({ id }) => id).join() !== ids.slice(1, -1).join()) throw new Error(`the text was read as ${tokens.map(({ token }) => token).join(" ")}`);
    return Math.max(...tokens.map(({ replaced }, index) => Math.abs(Math.log(replaced / (1 - replaced)) - wanted[index + 1]!)));
  }

  /** Of the rows of a tiny fixture. */
  async tinyDifference(name: "tiny_proj" | "tiny_noproj"): Promise<number> {
    const golden = tensorsOf(readFileSync(`${FIXTURES}/${name}/forward.safetensors`));
    const tensors = tensorsOf(readFileSync(`${FIXTURES}/${name}/discriminator/model.safetensors`));
    const config = readFileSync(`${FIXTURES}/${name}/discriminator/config.json`, "utf8");
    const { shape, values } = golden.get("in.input_ids")!;
    const length = shape[1]!;
    const wanted = golden.get("out.disc_logits_no_mask_no_types")!.values;
    let most = 0;
    for (let row = 0; row < shape[0]!; row += 1) {
      const part = <T extends { slice(from: number, to: number): T }>(all: T) => all.slice(row * length, (row + 1) * length);
      most = Math.max(most, await this.difference(config, tensors, [...part(values)], [], part(wanted)));
    }
    return most;
  }

  /** Of the first row of the fixture that has ELECTRA-Small's shape. */
  async smallDifference(): Promise<number> {
    const golden = tensorsOf(readFileSync(`${FIXTURES}/small/golden.safetensors`));
    const config: Config = { vocab_size: 30522, embedding_size: 128, hidden_size: 256, num_hidden_layers: 12, num_attention_heads: 4, intermediate_size: 1024, max_position_embeddings: 512 };
    const tensors = new Map(shapesOf(config).map(([name, shape]) => [name, { shape, values: formulaTensor(`disc.${name}`, shape) }]));
    const first = (name: string) => [...golden.get(name)!.values.slice(0, 128)];
    return this.difference(configOf(config), tensors, first("in.fake_input_ids"), first("in.token_type_ids"), first("out.disc_logits"));
  }

  /** Losses of a fine-tuning of a micro network (2 layers of 64) on the page's sample, 10 steps of 16. */
  async microLosses(): Promise<number[]> {
    const table = readFileSync(new URL("../../src/samples/reviews.tsv", import.meta.url), "utf8");
    const words = [...new Set(table.match(/[a-z]+/g))];
    const vocabulary = [...SPECIAL, ...words];
    const config: Config = { vocab_size: vocabulary.length, embedding_size: 64, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 256, max_position_embeddings: 64 };
    const { model } = await this.load(formulaFolder(config, vocabulary), "discriminator");
    // Bytes go as a table of the page's own would: a Uint8Array, which only the page can make.
    const progress = await this.page.evaluate(
      async ([backend, model, text]) => {
        const asked = (globalThis as unknown as Record<string, Asked>)[`engine-${backend}`]!;
        const table = { name: "reviews.tsv", bytes: new TextEncoder().encode(text) };
        const options = { table, text: "review", label: "label", epochs: 1, batchSize: 16, learningRate: 5e-4, maxLength: 32, seed: 7, fromScratch: false, steps: 10 };
        return (await asked("finetune", { model, options })).progress as Progress[];
      },
      [this.backend, model, table] as const,
    );
    return progress.flatMap((one) => (one.kind === "row" && one.row.split === "train" && typeof one.row["loss"] === "number" ? [one.row["loss"]] : []));
  }
}

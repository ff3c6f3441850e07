// A worker in the engine's place, for the tests of the interface: it speaks the protocol, answers the same to the same request, and
// computes nothing. Never part of the page: vite.config.ts puts it there in the mode `stand-in`, into a folder of its own.
import type { FineTuneResult, FromWorker, Loaded, MetricsRow, PretrainResult, Progress, RequestName, Requests, Status, TableReport, ToWorker, Walk } from "../../src/engine/protocol";
import { chance, idOf, proposalsFor, replacedOf, tokensOf } from "./text";

type Asked<Name extends RequestName> = Requests[Name]["ask"];

const post = (message: FromWorker) => (self as unknown as { postMessage(message: FromWorker): void }).postMessage(message);
const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

class Failure extends Error {
  constructor(readonly kind: "input" | "cancelled" | "panic" | "memory" | "lost", message: string) {
    super(message);
  }
}

let models = 0;
const paused = new Set<number>();
const cancelled = new Set<number>();

let status: Status = { backend: "cpu", device: "stand-in", why: { key: "noWebGpu", detail: "" }, memory: 123_000_000 };
let isLost = false;

function opened({ backend }: Asked<"probe">): Status {
  if (backend === "webgpu") status = { ...status, backend, why: null };
  else if (backend === "cpu") status = { ...status, why: { key: "askedFor", detail: "" } };
  return status;
}

/** As a panic of the module: no promise is settled, and nothing is answered any more. */
function panic(): Promise<never> {
  setTimeout(() => {
    throw new Error("panicked at 'a test asked for it'");
  });
  return new Promise(() => undefined);
}

function loaded(kind: Loaded["kind"], labels: string[] = []): Loaded {
  models += 1;
  return { model: models, kind, parameters: 3_800_000, layers: 2, heads: 2, hidden: 64, vocabulary: 8192, maxTokens: 126, labels };
}

function walk({ text, maskingRate, temperature, seed, chosen }: Asked<"walk">): Walk {
  const inner = tokensOf(text);
  const special = (token: string, id: number, at: number) => ({ token, id, start: at, end: at });
  const tokens = [special("[CLS]", 2, 0), ...inner, special("[SEP]", 3, text.length)];
  const order = inner.map((_, index) => index + 1).sort((a, b) => chance(`${seed}:${a}`) - chance(`${seed}:${b}`));
  const masked = order.slice(0, Math.max(1, Math.round(inner.length * maskingRate))).sort((a, b) => a - b);
  const proposals = masked.map((position) => {
    const top = proposalsFor(tokens[position]!.token, temperature);
    const drawn = top.find(({ id }) => id === chosen[position]) ?? top[Math.floor(chance(`${seed}|${position}`) * 2)]!;
    return { position, top, drawn, drawnLoss: -Math.log(drawn.probability) };
  });
  const corrupted = tokens.map((token, position) => {
    const drawn = proposals.find((proposal) => proposal.position === position)?.drawn;
    return drawn ? { ...token, token: drawn.token, id: drawn.id } : token;
  });
  const replaced = corrupted.map(({ id }, position) => id !== tokens[position]!.id);
  const probabilities = corrupted.map(({ token }, position) => (replaced[position] ? 0.75 : replacedOf(token, text)));
  const rtdLosses = probabilities.map((p, position) => (position === 0 || position === tokens.length - 1 ? 0 : -Math.log(replaced[position] ? p : 1 - p)));
  const length = tokens.length;
  const attention = Float32Array.from({ length: 4 * length * length }, (_, index) => {
    const [query, key] = [Math.floor(index / length) % length, index % length];
    return Math.exp(-Math.abs(query - key)) * 0.5;
  });
  const reached = tokens.map((_, position) => 0.1 + chance(`${position}g`) * 0.2);
  return {
    tokens, masked, proposals, corrupted, replaced, probabilities, rtdLosses, attention, layers: 2, heads: 2,
    mlmLosses: masked.map((position) => 2 + 4 * chance(tokens[position]!.token)),
    gradients: { mlm: tokens.map((_, position) => (masked.includes(position) ? 0.8 : 0)), rtd: tokens.map((_, position) => (replaced[position] ? 0.7 : 0.15 + 0.1 * chance(`${position}`))) },
    inputGradients: { mlm: reached, rtd: reached.map((value) => value + 0.2) },
  };
}

function readTable({ table, ...wanted }: Asked<"readTable">): TableReport {
  const lines = new TextDecoder().decode(table.bytes).split(/\r?\n/).filter(Boolean);
  const separator = table.name.endsWith(".tsv") ? "\t" : ",";
  const [head = "", ...rows] = lines;
  const columns = head.split(separator);
  if (rows.length > 20_000) throw new Failure("input", `${table.name}: it has ${rows.length} rows, and a page takes 20000: take some out`);
  if (columns.length < 2) throw new Failure("input", `${table.name}, line 1: one column; a table needs a column of texts and one of labels`);
  const label = wanted.label ?? columns.at(-1)!;
  const at = columns.indexOf(label);
  const counts = new Map<string, number>();
  for (const row of rows) {
    const cell = row.split(separator)[at] ?? "";
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  const labels = [...counts].map(([name, count]) => ({ label: name, count })).sort((a, b) => b.count - a.count);
  return { columns, rows: rows.length, text: wanted.text ?? columns[0]!, pair: wanted.pair ?? null, label, kind: wanted.kind ?? "classification", labels, notes: [`“${label}” is taken for the label: it has ${labels.length} values`], preview: rows.slice(0, 3).map((row) => row.split(separator)) };
}

const lost = () => new Failure("lost", "the device was lost");

/** Steps of a training, between which it can be stopped. */
async function train(id: number, from: number, steps: number, each: (step: number) => Progress[], checkpoint?: (step: number) => Uint8Array): Promise<void> {
  for (let step = from + 1; step <= steps; step += 1) {
    // Few steps are made slow enough to be paused.
    await wait(steps <= 20 ? 100 : 8);
    if (isLost) throw lost();
    if (paused.has(id) && checkpoint) post({ id, type: "progress", progress: { kind: "checkpoint", step: step - 1, bytes: checkpoint(step - 1) } });
    while (paused.has(id) && !cancelled.has(id)) await wait(10);
    if (cancelled.has(id)) throw new Failure("cancelled", "cancelled");
    post({ id, type: "progress", progress: { kind: "step", step, steps, stepsPerSecond: 100, secondsLeft: (steps - step) / 100 } });
    for (const progress of each(step)) post({ id, type: "progress", progress });
  }
}

const FOLDER = () => ({ "config.json": new TextEncoder().encode('{"architectures":["ElectraForSequenceClassification"]}'), "model.safetensors": new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 123, 125]), "tokenizer.json": new TextEncoder().encode("{}") });

async function finetune(id: number, { options }: Asked<"finetune">): Promise<FineTuneResult> {
  const report = readTable(options);
  const labels = report.labels.map(({ label }) => label);
  const gain = options.fromScratch ? 0.1 : 0.38;
  const steps = 5 * options.epochs;
  await train(id, 0, steps, (step) => [
    ...(step % 5 === 0 ? [{ kind: "row" as const, row: <MetricsRow>{ step, split: "train", loss: 0.7 * Math.exp(-step / (options.fromScratch ? 90 : 30)) } }] : []),
    ...(step % 10 === 0 ? [{ kind: "row" as const, row: <MetricsRow>{ step, split: "validation", accuracy: 0.5 + (gain * step) / steps } }] : []),
  ]);
  return {
    loaded: loaded("classifier", labels),
    scores: { accuracy: 0.5 + gain },
    baselines: { majority: { accuracy: 0.5 }, bag_of_words: { accuracy: 0.75 } },
    confusion: { labels, counts: labels.map((_, row) => labels.map((_, column) => (row === column ? 9 : 1))) },
    worst: [{ text: "<b>not bold</b> and not bad", right: "good", predicted: "bad", probability: 0.81 }],
    files: FOLDER(),
  };
}

function broken(): never {
  throw new Failure("panic", "panicked at step 30");
}

async function pretrain(id: number, { options }: Asked<"pretrain">): Promise<PretrainResult> {
  const from = options.resume ? new DataView(options.resume.buffer, options.resume.byteOffset).getUint32(0, true) : 0;
  const checkpoint = (step: number) => {
    const bytes = new Uint8Array(64);
    new DataView(bytes.buffer).setUint32(0, step, true);
    return bytes;
  };
  const isBroken = options.text.startsWith("breaks at step 30");
  const sentence = tokensOf("the small boat came slowly into the harbour").map(({ token }) => token);
  await train(
    id, from, options.steps,
    (step) => [
      ...(isBroken && step === 30 ? broken() : []),
      ...(step % 10 === 0 ? [{ kind: "row" as const, row: <MetricsRow>{ step, split: "train", generator_loss: 5 + 2.5 * Math.exp(-step / 60), discriminator_loss: 0.3 + 0.2 * Math.exp(-step / 60) } }] : []),
      ...(step % options.sampleEvery === 0
        ? [
            { kind: "row" as const, row: <MetricsRow>{ step, split: "validation", discriminator_auc: 0.8 - 0.3 * Math.exp(-step / 100), swap_auc: 0.75 - 0.25 * Math.exp(-step / (options.objective === "rtd" ? 100 : 300)) } },
            { kind: "sample" as const, step, tokens: sentence.map((original, index) => ({ token: index === 2 ? "kettle" : original, original, replaced: index === 2 ? 0.8 : 0.1 })) },
          ]
        : []),
    ],
    checkpoint,
  );
  const folder = (name: string) => Object.fromEntries(Object.entries(FOLDER()).map(([path, bytes]) => [`${name}/${path}`, bytes]));
  return { discriminator: loaded("discriminator"), generator: loaded("generator"), files: { ...folder("discriminator"), ...folder("generator") }, checkpoint: checkpoint(options.steps) };
}

async function answer({ id, name, ask }: Extract<ToWorker, { ask: unknown }>): Promise<unknown> {
  switch (name) {
    case "probe": return opened(ask);
    case "status": return status;
    case "load": return loaded(ask.kind, ask.kind === "classifier" ? ["bad", "good"] : []);
    case "unload": return null;
    case "score": {
      if (ask.text.includes("panic please")) return panic();
      if (ask.text.includes("lose the device") && status.backend === "webgpu") isLost = true;
      if (isLost) throw lost();
      return { tokens: tokensOf(ask.text).map((token) => ({ ...token, replaced: replacedOf(token.token, ask.text) })) };
    }
    case "propose": return { proposals: proposalsFor(tokensOf(ask.text)[ask.position]!.token, 1).map((one) => ({ ...one, id: idOf(one.token) })) };
    case "walk": return walk(ask);
    case "classify": {
      const good = /good|great|love|warm|wonderful/.test(ask.text) ? 0.9 : 0.2;
      return { probabilities: { bad: 1 - good, good }, value: null };
    }
    case "readTable": return readTable(ask);
    case "finetune": return finetune(id, ask);
    case "pretrain": return pretrain(id, ask);
  }
}

self.addEventListener("message", (event: MessageEvent<ToWorker>) => {
  const request = event.data;
  const { id } = request;
  if (!("ask" in request)) {
    if (request.name === "pause") paused.add(id);
    else if (request.name === "resume") paused.delete(id);
    else cancelled.add(id);
    return;
  }
  answer(request).then(
    (done) => post({ id, type: "done", answer: done }),
    (error: unknown) => post({ id, type: "failed", error: { kind: error instanceof Failure ? error.kind : "panic", message: error instanceof Error ? error.message : String(error) } }),
  );
});

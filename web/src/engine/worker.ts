// The engine's side of the protocol: a dedicated worker that owns the module of Rust, and answers one request after another. A
// training goes a step at a time and gives way after each, so that pause, resume, cancel and small requests come through.

import init, { Engine, type FineTuning, type Pretraining } from "./wasm/electra_web.js";
import wasmUrl from "./wasm/electra_web_bg.wasm?url";
import { cacheOf } from "../files/storage";
import type { EngineError, FromWorker, Progress, RequestName, Requests, Status, ToWorker } from "./protocol";

interface Port {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  addEventListener(type: string, listener: (event: never) => void): void;
}
const port = self as unknown as Port;

type Asked<Name extends RequestName> = Requests[Name]["ask"];
type Answered<Name extends RequestName> = Requests[Name]["answer"];

let engine: Engine | undefined;
/** Requests that have no answer yet. */
const open = new Set<number>();
/** What is asked of a training, by the request's id. */
const wishes = new Map<number, "pause" | "cancel">();
/** Wakes a training that is paused. */
const sleepers = new Map<number, () => void>();

class Cancelled extends Error {}

function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

function opened(): Engine {
  if (!engine) throw inputError("the engine is not open: send probe first");
  return engine;
}

function inputError(message: string): Error {
  const error = new Error(message);
  error.name = "input";
  return error;
}

/** Rust's errors have the protocol's kinds for names; whatever else comes is a panic, of which the hook in Rust has left word. */
function described(error: unknown): EngineError {
  if (error instanceof Cancelled) return { kind: "cancelled", message: "cancelled" };
  const message = error instanceof Error ? error.message : String(error);
  const kind = error instanceof Error ? error.name : "";
  if (kind === "input" || kind === "lost" || kind === "memory") return { kind, message };
  const panic = (globalThis as { electraPanic?: string }).electraPanic ?? message;
  return { kind: /memory allocation|out of memory/i.test(panic) ? "memory" : "panic", message: panic };
}

function fail(id: number, error: unknown): void {
  if (open.delete(id)) port.postMessage({ id, type: "failed", error: described(error) });
}

// A panic ends the module and settles no promise: everything that waits is told here.
function everythingFails(error: unknown): void {
  for (const id of [...open]) fail(id, error);
}
port.addEventListener("error", (event: ErrorEvent) => everythingFails(event.error ?? event.message));
port.addEventListener("unhandledrejection", (event: PromiseRejectionEvent) => everythingFails(event.reason));

/** Where it is remembered which adapters have been verified, by this very module. */
const VERIFIED = "electra-verified";

async function adapterKey(): Promise<string | undefined> {
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<{ info: Record<string, unknown> } | null> } }).gpu;
  const info = (await gpu?.requestAdapter())?.info;
  if (!info) return undefined;
  const words = [info.vendor, info.architecture, info.device, info.description].map((word) => String(word ?? ""));
  const key = new URL(wasmUrl, import.meta.url);
  key.searchParams.set("adapter", words.join("|"));
  return key.href;
}

async function probe({ backend }: Asked<"probe">): Promise<Status> {
  await init({ module_or_path: new URL(wasmUrl, import.meta.url) });
  const key = backend === "cpu" ? undefined : await adapterKey().catch(() => undefined);
  // Storage may be refused: the verification is then done each time.
  const cache = key ? await cacheOf(VERIFIED) : undefined;
  const known = key ? await cache?.match(key).catch(() => undefined) : undefined;
  engine = await Engine.open(backend, known !== undefined);
  const status = JSON.parse(engine.status()) as Status;
  if (status.backend === "webgpu" && key && !known) await cache?.put(key, new Response("")).catch(() => undefined);
  return status;
}

function tell(id: number, told: string): void {
  for (const progress of JSON.parse(told) as Progress[]) port.postMessage({ id, type: "progress", progress });
}

/** Runs a training to its last step, or until it is cancelled. */
async function train(id: number, training: FineTuning | Pretraining): Promise<void> {
  let goesOn = true;
  tell(id, training.told());
  while (goesOn) {
    await macrotask();
    if (wishes.get(id) === "pause") await rest(id, training);
    if (wishes.get(id) === "cancel") throw new Cancelled();
    goesOn = await training.step();
    tell(id, training.told());
  }
}

async function rest(id: number, training: FineTuning | Pretraining): Promise<void> {
  if ("checkpoint" in training) {
    const { step, bytes } = (await training.checkpoint()) as { step: number; bytes: Uint8Array };
    port.postMessage({ id, type: "progress", progress: { kind: "checkpoint", step, bytes } }, [bytes.buffer]);
  }
  while (wishes.get(id) === "pause") await new Promise<void>((resolve) => sleepers.set(id, resolve));
}

async function finetune(id: number, { model, options }: Asked<"finetune">): Promise<Answered<"finetune">> {
  const { table, text, pair, label, kind, ...rest } = options;
  const asked = JSON.stringify({ text, pair, label, kind, ...rest });
  const training = await opened().finetune(model, table.name, table.bytes, asked);
  try {
    await train(id, training);
    const { json, files } = (await training.finish()) as { json: string; files: Record<string, Uint8Array> };
    return { ...(JSON.parse(json) as Answered<"finetune">), files };
  } finally {
    training.free();
  }
}

async function pretrain(id: number, { options }: Asked<"pretrain">): Promise<Answered<"pretrain">> {
  const { resume, ...rest } = options;
  const training = opened().pretrain(JSON.stringify(rest), resume);
  try {
    await train(id, training);
    const { json, ...bytes } = (await training.finish()) as { json: string; files: Record<string, Uint8Array>; checkpoint: Uint8Array };
    return { ...(JSON.parse(json) as Answered<"pretrain">), ...bytes };
  } finally {
    training.free();
  }
}

async function answer(id: number, request: Extract<ToWorker, { ask: unknown }>): Promise<unknown> {
  switch (request.name) {
    case "probe":
      return probe(request.ask);
    case "load":
      return JSON.parse(opened().load(request.ask.files, request.ask.kind));
    case "unload":
      opened().unload(request.ask.model);
      return null;
    case "score":
      return { tokens: JSON.parse(await opened().score(request.ask.model, request.ask.text)) };
    case "propose": {
      const { model, text, position, top } = request.ask;
      return { proposals: JSON.parse(await opened().propose(model, text, position, top)) };
    }
    case "walk": {
      const { discriminator, generator, text, ...options } = request.ask;
      const walked = await opened().walk(discriminator, generator, text, JSON.stringify(options));
      const { json, attention } = walked as { json: string; attention: Float32Array };
      return { ...JSON.parse(json), attention };
    }
    case "classify":
      return JSON.parse(await opened().classify(request.ask.model, request.ask.text, request.ask.pair));
    case "readTable": {
      const { table, ...columns } = request.ask;
      return JSON.parse(opened().readTable(table.name, table.bytes, JSON.stringify(columns)));
    }
    case "finetune":
      return finetune(id, request.ask);
    case "pretrain":
      return pretrain(id, request.ask);
    case "status":
      return JSON.parse(opened().status());
  }
}

/** What of an answer is handed over and not copied: the files of a network, checkpoints, attention. */
function buffersOf(answer: unknown): ArrayBuffer[] {
  if (answer === null || typeof answer !== "object") return [];
  const { files, ...rest } = answer as { files?: Record<string, unknown> };
  return [...Object.values(files ?? {}), ...Object.values(rest)].flatMap((value) => (ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : []));
}

port.addEventListener("message", (event: MessageEvent<ToWorker>) => {
  const request = event.data;
  const { id } = request;
  if (!("ask" in request)) {
    // What has ended is not told to stop any more.
    if (request.name === "resume" || !open.has(id)) wishes.delete(id);
    else wishes.set(id, request.name);
    sleepers.get(id)?.();
    sleepers.delete(id);
    return;
  }
  open.add(id);
  answer(id, request)
    .then((answer) => {
      if (open.delete(id)) port.postMessage({ id, type: "done", answer }, buffersOf(answer));
    })
    .catch((error: unknown) => fail(id, error))
    .finally(() => wishes.delete(id));
});

// The page's side of the protocol: typed requests of a worker that may have to be replaced. A panic or a lost device gives a new
// worker, after two losses one on the CPU; what stops is stopped for good after two seconds. Networks that were loaded are loaded
// again, so that the page's numbers for them go on meaning the same. A small request that a lost device took with it is asked again;
// a training is not, since only its section knows from where it can go on.

import workerUrl from "./worker?worker&url";
import type {
  BackendChoice,
  EngineError,
  FromWorker,
  Loaded,
  Progress,
  RequestName,
  Requests,
  Status,
  ToWorker,
} from "./protocol";

type Ask<Name extends RequestName> = Requests[Name]["ask"];
type Answer<Name extends RequestName> = Requests[Name]["answer"];

/** An error of the engine, with what to do about it. */
export class RequestFailed extends Error {
  readonly kind: EngineError["kind"];

  constructor({ kind, message }: EngineError) {
    super(message);
    this.kind = kind;
  }
}

/** A request on its way. */
export interface Running<Result> {
  id: number;
  result: Promise<Result>;
  pause(): void;
  resume(): void;
  /** Between two steps, or after two seconds by another worker. */
  cancel(): void;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: RequestFailed): void;
  progress?: ((progress: Progress) => void) | undefined;
}

/** How long a request may take to stop by itself. */
const PATIENCE_MS = 2000;
/** Losses of WebGPU after which the CPU computes. */
const MOST_LOSSES = 2;

export class Engine {
  private worker: Worker | undefined;
  private nextId = 1;
  private readonly waiting = new Map<number, Waiting>();
  /** What the page loaded, by the number that it knows, to be loaded again; and the worker's own number now. */
  private readonly models = new Map<number, { ask: Ask<"load"> | undefined; now: number }>();
  private nextModel = 1;
  private losses = 0;
  private choice: BackendChoice;
  private ready: Promise<Status> | undefined;
  /** Whether the worker has its device and all networks. One that breaks before is not replaced at once: the next would break, too. */
  private isOpen = false;

  /** `onStatus` hears of each worker that begins; `onGone` of networks that no new worker can have again. */
  constructor(
    choice: BackendChoice,
    private readonly onStatus: (status: Status) => void = () => undefined,
    private readonly onGone: (models: number[]) => void = () => undefined,
  ) {
    this.choice = choice;
  }

  /** Opens the device, once for each worker. */
  probe(): Promise<Status> {
    this.ready ??= this.begin();
    return this.ready;
  }

  async load(ask: Ask<"load">): Promise<Loaded> {
    const loaded = await this.ask("load", ask);
    return this.known(loaded, ask);
  }

  async unload(model: number): Promise<void> {
    const known = this.models.get(model);
    this.models.delete(model);
    if (known) await this.ask("unload", () => ({ model: known.now }));
  }

  score(ask: Ask<"score">): Promise<Answer<"score">> {
    return this.ask("score", () => ({ ...ask, model: this.now(ask.model) }));
  }

  propose(ask: Ask<"propose">): Promise<Answer<"propose">> {
    return this.ask("propose", () => ({ ...ask, model: this.now(ask.model) }));
  }

  walk(ask: Ask<"walk">): Promise<Answer<"walk">> {
    return this.ask("walk", () => ({
      ...ask,
      discriminator: this.now(ask.discriminator),
      generator: this.now(ask.generator),
    }));
  }

  classify(ask: Ask<"classify">): Promise<Answer<"classify">> {
    return this.ask("classify", () => ({ ...ask, model: this.now(ask.model) }));
  }

  readTable(ask: Ask<"readTable">): Promise<Answer<"readTable">> {
    return this.ask("readTable", ask);
  }

  status(): Promise<Status> {
    return this.ask("status", {});
  }

  finetune(ask: Ask<"finetune">, progress: (progress: Progress) => void): Running<Answer<"finetune">> {
    const running = this.run("finetune", () => ({ ...ask, model: this.now(ask.model) }), progress);
    const result = running.result.then((answer) => {
      return { ...answer, loaded: this.known(answer.loaded, { files: answer.files, kind: "classifier" }) };
    });
    return { ...running, result };
  }

  pretrain(ask: Ask<"pretrain">, progress: (progress: Progress) => void): Running<Answer<"pretrain">> {
    const running = this.run("pretrain", () => ask, progress);
    const result = running.result.then((answer) => {
      const known = (loaded: Loaded | null) => loaded && this.known(loaded, askOf(loaded.kind, answer.files));
      return { ...answer, discriminator: known(answer.discriminator), generator: known(answer.generator) };
    });
    return { ...running, result };
  }

  /** Ends the worker; what waits fails as cancelled. */
  close(): void {
    this.drop({ kind: "cancelled", message: "the engine was closed" });
  }

  private known(loaded: Loaded, ask: Ask<"load"> | undefined): Loaded {
    const model = this.nextModel++;
    this.models.set(model, { ask, now: loaded.model });
    return { ...loaded, model };
  }

  private now(model: number): number {
    return this.models.get(model)?.now ?? -1;
  }

  private async ask<Name extends RequestName>(name: Name, ask: Ask<Name> | (() => Ask<Name>)): Promise<Answer<Name>> {
    for (let losses = 0; ; losses += 1) {
      try {
        return await this.run(name, typeof ask === "function" ? (ask as () => Ask<Name>) : () => ask).result;
      } catch (error) {
        if (!(error instanceof RequestFailed && error.kind === "lost" && losses < MOST_LOSSES)) throw error;
      }
    }
  }

  private run<Name extends RequestName>(
    name: Name,
    ask: () => Ask<Name>,
    progress?: (progress: Progress) => void,
  ): Running<Answer<Name>> {
    const id = this.nextId++;
    let isCancelled = false;
    const result = this.probe().then(() => {
      if (isCancelled) throw new RequestFailed({ kind: "cancelled", message: "cancelled" });
      return this.send(id, name, ask(), progress);
    });
    const wish = (wanted: "pause" | "resume" | "cancel") => this.worker?.postMessage({ id, name: wanted });
    const cancel = () => {
      isCancelled = true;
      wish("cancel");
      setTimeout(() => {
        if (this.waiting.has(id)) this.replace({ kind: "cancelled", message: "cancelled" });
      }, PATIENCE_MS);
    };
    return { id, result, pause: () => wish("pause"), resume: () => wish("resume"), cancel };
  }

  private send<Name extends RequestName>(
    id: number,
    name: Name,
    ask: Ask<Name>,
    progress?: (progress: Progress) => void,
  ): Promise<Answer<Name>> {
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject, progress });
      this.worker?.postMessage({ id, name, ask } as ToWorker);
    });
  }

  private async begin(): Promise<Status> {
    const worker = started();
    this.worker = worker;
    // A worker that has been replaced may still have something to say, of which nobody wants to hear.
    const isCurrent = () => this.worker === worker;
    worker.onmessage = (event: MessageEvent<FromWorker>) => isCurrent() && this.hear(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      if (isCurrent()) this.replace({ kind: "panic", message: event.message || "the engine's script could not be loaded" });
    };
    const status = await this.send(this.nextId++, "probe", { backend: this.choice });
    const gone: number[] = [];
    for (const [model, known] of this.models) {
      const again = known.ask && (await this.send(this.nextId++, "load", known.ask).catch(refused));
      if (again) known.now = again.model;
      else {
        this.models.delete(model);
        gone.push(model);
      }
    }
    this.isOpen = true;
    if (gone.length > 0) this.onGone(gone);
    // The reason that the page gave itself is none of the reader's.
    const isOurs = this.losses >= MOST_LOSSES && status.why?.key === "askedFor";
    const told: Status = isOurs ? { ...status, why: { key: "deviceLost", detail: "" } } : status;
    this.onStatus(told);
    return told;
  }

  private hear(message: FromWorker): void {
    const waiting = this.waiting.get(message.id);
    if (!waiting) return;
    if (message.type === "progress") {
      waiting.progress?.(message.progress);
      return;
    }
    this.waiting.delete(message.id);
    if (message.type === "done") {
      waiting.resolve(message.answer);
      return;
    }
    const { error } = message;
    waiting.reject(new RequestFailed(error));
    if (error.kind === "lost" && ++this.losses >= MOST_LOSSES) this.choice = "cpu";
    if (error.kind === "lost" || error.kind === "panic" || error.kind === "memory") this.replace(error);
  }

  /** Another worker, and `error` for all that waited for this one. */
  private replace(error: EngineError): void {
    const isWorthIt = this.isOpen || error.kind === "lost";
    this.drop(error);
    if (isWorthIt) void this.probe().catch(() => undefined);
  }

  private drop(error: EngineError): void {
    this.worker?.terminate();
    this.worker = undefined;
    this.ready = undefined;
    this.isOpen = false;
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(new RequestFailed(error));
  }
}

/** A network that cannot be had again is given up; whatever else went wrong goes on to who asked for the worker. */
function refused(error: unknown): undefined {
  if (!(error instanceof RequestFailed && error.kind === "input")) throw error;
}

/** The files of one network of a run. */
function askOf(kind: Loaded["kind"], files: Record<string, Uint8Array>): Ask<"load"> | undefined {
  const folders = [...new Set(Object.keys(files).map((name) => name.split("/")[0] ?? ""))];
  const folder = folders.includes(kind) ? kind : folders[0];
  if (!folder) return undefined;
  const own = Object.entries(files).filter(([name]) => name.startsWith(`${folder}/`));
  return { kind, files: Object.fromEntries(own.map(([name, bytes]) => [name.slice(folder.length + 1), bytes])) };
}

/** From a blob that imports the module, so that the page's policy binds the worker, too. */
function started(): Worker {
  const url = new URL(workerUrl, document.baseURI).href;
  const blob = new Blob([`import ${JSON.stringify(url)};`], { type: "text/javascript" });
  const blobUrl = URL.createObjectURL(blob);
  const worker = new Worker(blobUrl, { type: "module", name: "electra" });
  // Its script has been read by the time of the first message.
  worker.addEventListener("message", () => URL.revokeObjectURL(blobUrl), { once: true });
  return worker;
}

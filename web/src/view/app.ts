// What the sections share: the engine, the networks that are loaded, where the reader is, and what the browser remembers.
import { Engine, RequestFailed } from "../engine/client";
import type { BackendChoice, Loaded, Status, Walk } from "../engine/protocol";
import { fetchModel } from "../files/model";
import { SENTENCES } from "../recorded/scores";
import { t } from "../strings";
import { h } from "./dom";
import { format, parse, parseChosen, type Route, type State } from "./router";

export interface Networks {
  discriminator: Loaded | null;
  generator: Loaded | null;
}

export const networks: Networks = { discriminator: null, generator: null };
/** A network of the reader's own, pre-trained here or dropped, which is fine-tuned in place of the page's. */
export const own: { network: Loaded | null } = { network: null };

export interface Chip {
  stage: "starting" | "loading" | "compiling" | "ready" | "noModel" | "failed";
  percent: number;
  status: Status | null;
  /** What failed, in words. */
  detail: string;
  restarted: boolean;
}
export const chip: Chip = { stage: "starting", percent: 0, status: null, detail: "", restarted: false };

const listeners = new Set<() => void>();
/** Called whenever the chip or the networks changed. */
export const onChange = (listener: () => void) => void listeners.add(listener);
const changed = () => listeners.forEach((listener) => listener());

let begun = 0;
export const engine = new Engine(
  backendAsked(),
  (status) => {
    chip.status = status;
    begun += 1;
    chip.restarted = begun > 1;
    changed();
  },
  (gone) => {
    for (const role of ["discriminator", "generator"] as const) if (gone.includes(networks[role]?.model ?? -1)) networks[role] = null;
    if (gone.includes(own.network?.model ?? -1)) own.network = null;
    changed();
  },
);

function backendAsked(): BackendChoice {
  const asked = new URLSearchParams(location.search).get("backend");
  return asked === "webgpu" || asked === "cpu" ? asked : "auto";
}

let modelReady: Promise<void> | undefined;

/** Opens the engine and loads the page's networks, once. */
export function begin(): Promise<void> {
  // In a task of its own, so that there is text before there is an engine.
  modelReady ??= new Promise((next) => setTimeout(next)).then(start);
  return modelReady;
}

async function start(): Promise<void> {
  // Both take time, and neither needs the other.
  const fetched = fetchModel((share) => {
    chip.percent = Math.round(share * 100);
    if (chip.stage === "starting") chip.stage = "loading";
    changed();
  });
  const opened = engine.probe();
  fetched.catch(() => undefined);
  try {
    await opened;
  } catch (error) {
    chip.stage = "failed";
    chip.detail = said(error);
    changed();
    return;
  }
  try {
    const files = await fetched;
    if (chip.status?.backend === "webgpu") chip.stage = "compiling";
    changed();
    networks.discriminator = await engine.load({ files: files.discriminator, kind: "discriminator" });
    networks.generator = await engine.load({ files: files.generator, kind: "generator" });
    // The first pass makes the shaders, so that the reader's own does not wait for them.
    await engine.score({ model: networks.discriminator.model, text: "the first pass" });
    chip.stage = "ready";
  } catch (error) {
    chip.stage = "noModel";
    chip.detail = said(error);
  }
  changed();
}

/** An error as a sentence for the reader. */
export function said(error: unknown): string {
  if (error instanceof RequestFailed) {
    if (error.kind === "memory") return t().errors.memory;
    if (error.kind === "input") return t().errors.fromEngine(error.message);
    if (error.kind === "panic" || error.kind === "lost") return `${t().common.engineGone} (${error.message.split("\n")[0]})`;
  }
  return error instanceof Error ? error.message : String(error);
}

export const isCancelled = (error: unknown) => error instanceof RequestFailed && error.kind === "cancelled";

/** Whether what computes broke under a request, so that the same may work with the next worker. */
export const isBroken = (error: unknown) => isLost(error) || (error instanceof RequestFailed && error.kind === "panic");
export const isLost = (error: unknown) => error instanceof RequestFailed && error.kind === "lost";

/** What went wrong, where it is read at once. */
export const alarm = (error: unknown) => h("p", { class: "alarm", role: "alert" }, typeof error === "string" ? error : said(error));

// The address is the only place that knows where the reader is.
export const route = (): Route => parse(location.hash);

export function go(change: Partial<Omit<Route, "state">>, state: Partial<State> = {}): void {
  const now = route();
  location.hash = format({ ...now, ...change, state: { ...now.state, ...state } });
}

/** Changes a chapter's state without a new entry in the history. */
export function set(state: Partial<State>): void {
  const now = route();
  history.replaceState(null, "", format({ ...now, state: { ...now.state, ...state } }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export const textOf = (state: State) => state.text || (SENTENCES[0]?.text ?? "");

let walked: { key: string; walk: Promise<Walk> } | undefined;

/** One pass through both networks, which all chapters of a state share. */
export function walk(state: State): Promise<Walk> {
  const { discriminator, generator } = networks;
  if (!discriminator || !generator) return Promise.reject(new Error(chip.detail || t().errors.modelMissing));
  const ask = {
    discriminator: discriminator.model,
    generator: generator.model,
    text: textOf(state),
    maskingRate: state.rate / 100,
    temperature: state.temperature,
    seed: state.seed,
    chosen: parseChosen(state.chosen),
  };
  const key = JSON.stringify(ask);
  if (walked?.key !== key) {
    const next = { key, walk: engine.walk(ask) };
    walked = next;
    // What failed is asked again next time.
    next.walk.catch(() => {
      if (walked === next) walked = undefined;
    });
  }
  return walked.walk;
}

/** What the browser remembers of the reader's wishes; it may refuse to. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(`electra-${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`electra-${key}`, value);
  } catch {
    // Then the wish holds until the page is closed.
  }
}

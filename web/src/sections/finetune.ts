// "Fine-tune": a table of the reader's, its columns, a training with its curves, and what came of it. The parts are below fine-tune/.
import sampleUrl from "../samples/reviews.tsv?url&no-inline";
import type { FineTuneOptions, FineTuneResult, Loaded, MetricsRow, Progress, TableReport } from "../engine/protocol";
import type { Running } from "../engine/client";
import { filesOf, sort } from "../files/dropped";
import { t } from "../strings";
import { alarm, begin, engine, isBroken, isCancelled, networks, own } from "../view/app";
import { button, choice, h, number, replace } from "../view/dom";
import { redraw as redrawIn, runBar, seldom } from "../view/running";
import { reportOf, warningsOf } from "./finetune/table";
import { curvesOf, resultOf, tryBox } from "./finetune/result";

export interface Job {
  kind: "tuned" | "scratch";
  rows: MetricsRow[];
  step: Extract<Progress, { kind: "step" }> | null;
  result: FineTuneResult | null;
}

// Kept beyond a change of language, so that a training goes on and its numbers stay.
const settings = { epochs: 8, batchSize: 16, learningRate: 3e-4, compare: true, seed: 1 };
let table: FineTuneOptions["table"] | null = null;
let report: TableReport | null = null;
let jobs: Job[] = [];
let running: Running<FineTuneResult> | null = null;
let isPaused = false;
let isStopped = false;
/** How often what computes broke under this training. */
let breaks = 0;
let classifier: Loaded | null = null;
let notice: string | null = null;
let problem: unknown = null;
/** Where what is now on the screen is drawn: that of the newest language. */
let draw: () => void = () => undefined;

/** Hands over a network to be fine-tuned next. */
export function fineTune(network: Loaded): void {
  own.network = network;
  notice = t().finetune.loadedEncoder;
  draw();
}

export function finetune(): HTMLElement {
  const says = h("div", { role: "status", class: "says" });
  const columns = h("div", {});
  const title = h("h2", {});
  const bar = runBar(t().finetune.training, {
    pause() {
      isPaused = !isPaused;
      if (isPaused) running?.pause();
      else running?.resume();
      drawLive();
    },
    cancel: () => running?.cancel(),
  });
  const curves = h("div", {});
  const live = h("div", {}, title, bar.element, curves);
  const outcome = h("div", {});
  const input = h("input", { type: "file", id: "table-file", class: "hidden-input", multiple: true, accept: ".csv,.tsv,.txt,.zip,.json,.safetensors", change: () => void take([...(input.files ?? [])].map((file) => ({ path: file.name, file }))) });
  const drop = h(
    "div",
    { class: "drop" },
    h("p", {}, t().finetune.drop),
    h("p", { class: "buttons" }, input, h("label", { for: "table-file", class: "button" }, t().finetune.choose), button(t().finetune.sample, () => void sample())),
  );
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer) void filesOf(event.dataTransfer).then(take, fail);
  });

  function fail(error: unknown): void {
    problem = error;
    draw();
  }

  async function sample(): Promise<void> {
    const response = await fetch(sampleUrl);
    await take([{ path: "reviews.tsv", file: new File([await response.arrayBuffer()], "reviews.tsv") }]);
  }

  async function take(files: { path: string; file: File }[]): Promise<void> {
    input.value = "";
    if (files.length === 0) return;
    [problem, notice] = [null, null];
    try {
      const dropped = await sort(files);
      await begin();
      if (dropped.kind === "model") {
        const loaded = await engine.load({ files: dropped.files, kind: dropped.network });
        if (loaded.kind === "classifier") {
          classifier = loaded;
          jobs = [];
          notice = t().finetune.loaded(loaded.labels.join(", "));
        } else fineTune(loaded);
      } else {
        table = { name: dropped.name, bytes: dropped.bytes };
        report = null;
        await read({});
        return;
      }
    } catch (error) {
      problem = error;
    }
    draw();
  }

  async function read(wanted: Pick<FineTuneOptions, "text" | "pair" | "label" | "kind">): Promise<void> {
    if (!table) return;
    problem = null;
    try {
      report = await engine.readTable({ table, ...wanted });
    } catch (error) {
      problem = error;
    }
    draw();
  }

  async function train(): Promise<void> {
    const network = own.network ?? networks.discriminator;
    if (!table || !report) return;
    if (!network) return fail(new Error(t().finetune.noModel));
    [jobs, problem, notice, isPaused, isStopped, breaks] = [[], null, null, false, false, 0];
    const { text, pair, label, kind } = report;
    const options: FineTuneOptions = { table, text, label, kind, ...(pair === null ? {} : { pair }), epochs: settings.epochs, batchSize: settings.batchSize, learningRate: settings.learningRate, maxLength: Math.min(128, network.maxTokens), seed: settings.seed, fromScratch: false, steps: 0 };
    const wanted = settings.compare ? (["tuned", "scratch"] as const) : (["tuned"] as const);
    while (jobs.length < wanted.length) {
      const kind = wanted[jobs.length] ?? "tuned";
      const job: Job = { kind, rows: [], step: null, result: null };
      jobs.push(job);
      running = engine.finetune({ model: network.model, options: { ...options, fromScratch: kind === "scratch" } }, (progress) => hear(job, progress));
      draw();
      try {
        job.result = await running.result;
        if (kind === "tuned") classifier = job.result.loaded;
      } catch (error) {
        jobs.pop();
        // What broke is begun again: it takes minutes at most, and after two losses of a graphics card the processor computes.
        if (isBroken(error) && breaks < 2) {
          breaks += 1;
          isPaused = false;
          continue;
        }
        if (isCancelled(error)) isStopped = true;
        else problem = error;
        break;
      } finally {
        running = null;
      }
    }
    draw();
  }

  function hear(job: Job, progress: Progress): void {
    if (progress.kind === "row") job.rows.push(progress.row);
    else if (progress.kind === "step") job.step = progress;
    drawSoon();
  }

  function settingsBox(): HTMLElement {
    return h(
      "div",
      { class: "controls" },
      number(t().finetune.epochs, { min: 1, max: 20, value: settings.epochs }, (value) => (settings.epochs = value)),
      number(t().finetune.batch, { min: 2, max: 64, value: settings.batchSize }, (value) => (settings.batchSize = value)),
      choice(t().finetune.rate, ["0.001", "0.0005", "0.0003", "0.0001", "0.00005"].map((rate) => [rate, rate] as const), String(settings.learningRate), (value) => (settings.learningRate = Number(value))),
      h("label", { class: "check" }, h("input", { type: "checkbox", checked: settings.compare, change: (event: Event) => (settings.compare = (event.currentTarget as HTMLInputElement).checked) }), t().finetune.compare),
    );
  }

  function drawColumns(): void {
    if (!report || !table) return replace(columns);
    const { text, pair, label, kind, columns: names } = report;
    const again = (change: Partial<Record<"text" | "pair" | "label" | "kind", string>>) => {
      const wanted = { text, pair: pair ?? "", label, kind, ...change };
      return void read({ text: wanted.text, label: wanted.label, kind: wanted.kind as TableReport["kind"], ...(wanted.pair ? { pair: wanted.pair } : {}) });
    };
    const options = names.map((name) => [name, name] as const);
    const warnings = warningsOf(report);
    const isRefused = report.kind === "classification" && (report.labels.length < 2 || report.labels.length > 20);
    replace(
      columns,
      h("h2", {}, t().finetune.columns),
      h(
        "div",
        { class: "controls" },
        choice(t().finetune.text, options, text, (value) => again({ text: value })),
        choice(t().finetune.pair, [["", t().finetune.none], ...options], pair ?? "", (value) => again({ pair: value })),
        choice(t().finetune.label, options, label, (value) => again({ label: value })),
        choice(t().finetune.kind, Object.entries(t().finetune.kinds), kind, (value) => again({ kind: value })),
      ),
      ...warnings.map((warning) => h("p", { class: "warning" }, warning)),
      ...reportOf(report),
      h("h2", {}, t().finetune.settings),
      settingsBox(),
      h("p", { class: "quiet" }, `${t().finetune.base}: ${own.network ? t().finetune.baseOwn : t().finetune.baseDefault}`),
      button(t().finetune.train, () => void train(), { class: "primary", disabled: running !== null || isRefused }),
    );
  }

  function drawLive(): void {
    const now = jobs.at(-1);
    live.hidden = now === undefined;
    if (!now) return;
    title.textContent = running === null ? t().finetune.curves : now.kind === "scratch" ? t().finetune.scratch : t().finetune.training;
    bar.update({ isOn: running !== null, isPaused, step: now.step });
    redrawIn(curves, ...curvesOf(jobs));
  }
  const drawSoon = seldom(drawLive);

  const redraw = () => {
    replace(says, notice ? h("p", { class: "notice" }, notice) : null, breaks > 0 ? h("p", { class: "notice" }, t().finetune.begunAgain) : null, isStopped ? h("p", { class: "notice" }, t().finetune.cancelled) : null, problem ? alarm(problem) : null);
    drawColumns();
    drawLive();
    const first = jobs[0]?.result;
    const isReady = running === null;
    replace(outcome, ...(first ? resultOf(first, jobs[1]?.result ?? null, isReady) : []), classifier ? tryBox(classifier, report?.pair !== null && report !== null) : null);
  };
  draw = redraw;
  draw();
  return h("div", {}, h("h1", {}, t().finetune.title), h("p", { class: "lead" }, t().finetune.lead), drop, says, columns, live, outcome);
}

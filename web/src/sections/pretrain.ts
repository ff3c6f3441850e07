// "Pre-train": a text becomes a vocabulary and a very small pair of networks, in this tab, step by step, and can be left and taken up again.
import type { MetricsRow, PretrainOptions, PretrainResult, Progress } from "../engine/protocol";
import type { Running } from "../engine/client";
import { save } from "../files/dropped";
import { handbook } from "../files/handbook";
import { checkpoint, forget, found, keep, type Kept } from "../files/storage";
import { zip } from "../files/zip";
import { bytes, t } from "../strings";
import { alarm, engine, go, isBroken, isCancelled, isLost } from "../view/app";
import { curves, figure, type Line } from "../view/charts";
import { button, choice, fresh, h, number, replace } from "../view/dom";
import { redraw as redrawIn, runBar, seldom } from "../view/running";
import { fineTune } from "./finetune";
import { levelOf } from "./try";

export const LEAST_BYTES = 20_000;
const MOST_BYTES = 5_000_000;
/** Steps between two checkpoints that nobody asked for: what a crash may cost. */
const KEEP_EVERY = 100;

type Sample = Extract<Progress, { kind: "sample" }>;

// Kept beyond a change of language.
let text = "";
const settings = { vocabulary: 2048, steps: 500 };
let options: PretrainOptions | null = null;
let running: Running<PretrainResult> | null = null;
let isPaused = false;
/** A pause of the page's own, which ends as soon as the checkpoint has come. */
let isSaving = false;
let keptAt: number | null = null;
/** Why the browser does not store what it should. */
let refusal: "refused" | "full" | null = null;
/** The newest checkpoint, for a run that breaks: it is there although the browser stores nothing. */
let last: { step: number; bytes: Uint8Array } | null = null;
/** The step that this run began at: 0, or that of a checkpoint that was found. */
let begunAt = 0;
/** Where a run that broke has gone on from. */
let resumedAt: number | null = null;
let step: Extract<Progress, { kind: "step" }> | null = null;
let rows: MetricsRow[] = [];
let samples: Sample[] = [];
let notes: string[] = [];
let result: PretrainResult | null = null;
let stopped: Kept | null = null;
let isCancelledNow = false;
let problem: unknown = null;
let draw: () => void = () => undefined;

const newest = () => last;
const stepNow = () => step?.step ?? 0;

export function pretrain(): HTMLElement {
  const field = fresh("text");
  const [said, lack] = [fresh("said"), fresh("lack")];
  const title = h("h2", {});
  const bar = runBar(t().pretrain.progress, {
    pause() {
      isPaused = !isPaused;
      if (isPaused) running?.pause();
      else running?.resume();
      drawRun();
    },
    cancel: () => running?.cancel(),
  });
  const told = h("div", { role: "status" });
  const drawn = h("div", {});
  const place = h("div", {}, title, bar.element, told, drawn);
  const waiting = h("div", {});
  const count = h("p", { id: said, class: "quiet" });
  const short = h("p", { id: lack, class: "quiet", role: "status" });
  const area = h("textarea", { id: field, rows: 8, spellcheck: "false", "aria-describedby": `${said} ${lack}`, input: () => typed(area.value) });
  const start = button(t().pretrain.start, () => void begin(), { class: "primary" });
  const setup = h(
    "div",
    {},
    h("div", { class: "field" }, h("label", { for: field }, t().pretrain.field), area, count, short),
    h("p", { class: "buttons" }, button(t().pretrain.sample, () => void handbook().then(typed))),
    h(
      "div",
      { class: "controls" },
      choice(t().pretrain.vocabulary, ["512", "1024", "2048", "4096"].map((size) => [size, size] as const), String(settings.vocabulary), (value) => (settings.vocabulary = Number(value))),
      number(t().pretrain.steps, { min: 10, max: 20_000, value: settings.steps }, (value) => (settings.steps = value)),
    ),
    h("p", { class: "quiet" }, t().pretrain.network),
    start,
  );

  function typed(next: string): void {
    text = next;
    if (area.value !== next) area.value = next;
    const size = new Blob([next]).size;
    count.textContent = t().pretrain.count(bytes(size));
    const isTooShort = size < LEAST_BYTES;
    short.textContent = size > MOST_BYTES ? t().finetune.tooLarge(t().pretrain.field, bytes(size)) : isTooShort && size > 0 ? t().pretrain.short(bytes(LEAST_BYTES - size)) : "";
    start.disabled = isTooShort || size > MOST_BYTES || running !== null;
  }

  async function begin(): Promise<void> {
    // Unpaired surrogates would not survive the way to the engine.
    await run({ text: text.toWellFormed(), vocabulary: settings.vocabulary, steps: settings.steps, objective: "rtd", layers: 2, hidden: 64, batchSize: 16, sequenceLength: 64, learningRate: 2e-3, seed: 1, sampleEvery: Math.max(5, Math.min(50, Math.floor(settings.steps / 10))) });
  }

  async function goOn(kept: Kept): Promise<void> {
    try {
      await run({ ...kept.options, resume: await checkpoint() }, kept.step);
    } catch (error) {
      problem = error;
      draw();
    }
  }

  async function run(next: PretrainOptions, from = 0): Promise<void> {
    [options, result, problem, stopped, step, keptAt, last, resumedAt] = [next, null, null, null, null, null, null, null];
    [rows, samples, notes] = [[], [], []];
    [isPaused, isSaving, isCancelledNow, refusal] = [false, false, false, null];
    begunAt = from;
    let brokeAt = from;
    for (;;) {
      const resume = newest()?.bytes ?? next.resume;
      running = engine.pretrain({ options: { ...next, ...(resume ? { resume } : {}) } }, hear);
      draw();
      try {
        result = await running.result;
        await forget();
        break;
      } catch (error) {
        const reached = stepNow();
        // What panics where it did before would do so again. Losses come to an end by themselves: after two the processor computes.
        if (!isBroken(error) || (!isLost(error) && reached <= brokeAt)) {
          if (isCancelled(error)) isCancelledNow = true;
          else problem = error;
          break;
        }
        brokeAt = reached;
        goBack();
      }
    }
    running = null;
    await look();
  }

  /** To the newest checkpoint, or to where the run began. */
  function goBack(): void {
    const at = newest()?.step ?? begunAt;
    resumedAt = at;
    rows = rows.filter((row) => row.step <= at);
    samples = samples.filter((sample) => sample.step <= at);
    notes = [];
    [isPaused, isSaving] = [false, false];
  }

  function hear(progress: Progress): void {
    if (progress.kind === "row") rows.push(progress.row);
    else if (progress.kind === "note") notes.push(progress.text);
    else if (progress.kind === "sample") samples = [...samples.filter((sample) => sample.step === progress.step), progress].slice(-2);
    else if (progress.kind === "checkpoint") return void saved(progress.step, progress.bytes);
    else {
      step = progress;
      if (step.step % KEEP_EVERY === 0 && step.step < step.steps && !isPaused && !refusal) {
        isSaving = true;
        running?.pause();
      }
    }
    drawSoon();
  }

  async function saved(at: number, content: Uint8Array): Promise<void> {
    if (!options) return;
    last = { step: at, bytes: content };
    const { resume: _, ...rest } = options;
    const outcome = await keep({ step: at, options: rest }, content);
    if (outcome === "kept") [keptAt, refusal] = [at, null];
    else refusal = outcome;
    if (isSaving && !isPaused) running?.resume();
    isSaving = false;
    drawRun();
  }

  function drawRun(): void {
    place.hidden = !running && !result && rows.length === 0 && !problem && !isCancelledNow;
    if (place.hidden) return;
    title.textContent = result ? t().pretrain.done : t().pretrain.progress;
    bar.update({ isOn: running !== null, isPaused, step });
    const messages = [
      isCancelledNow ? h("p", { class: "notice" }, t().pretrain.cancelled) : null,
      running && isPaused ? h("p", { class: "notice" }, t().pretrain.paused) : null,
      running && keptAt !== null ? h("p", { class: "quiet" }, t().pretrain.saved(keptAt)) : null,
      running && refusal ? h("p", { class: "warning" }, refusal === "full" ? t().pretrain.noRoom : t().pretrain.notSaved) : null,
      resumedAt !== null ? h("p", { class: "notice" }, t().pretrain.resumed(resumedAt)) : null,
    ];
    // A reader of the screen hears what changes here, so that only changes are written.
    const words = messages.map((message) => message?.textContent ?? "").join();
    if (told.dataset["words"] !== words) replace(told, ...messages);
    told.dataset["words"] = words;
    redrawIn(
      drawn,
      problem ? alarm(problem) : null,
      rows.some((row) => typeof row["generator_loss"] === "number") ? figure(t().pretrain.curve, t().common.live, ...curves(t().pretrain.curve, [line(t().pretrain.generatorLoss, "generator_loss", "train", 1), line(t().pretrain.discriminatorLoss, "discriminator_loss", "train", 0)], { low: 0 })) : null,
      rows.some((row) => typeof row["discriminator_auc"] === "number" && row.split === "validation") ? figure(t().pretrain.auc, t().common.live, ...curves(t().pretrain.auc, [line(t().pretrain.auc, "discriminator_auc", "validation", 0)], { low: 0.4, high: 1, mark: { at: 0.5, name: ".5" } })) : null,
      ...samples.map(sampleOf),
      notes.length > 0 ? h("details", {}, h("summary", {}, t().finetune.notes), h("ul", {}, ...notes.map((note) => h("li", { lang: "en" }, note)))) : null,
      result ? resultButtons(result) : null,
    );
  }
  const drawSoon = seldom(drawRun);

  function resultButtons(done: PretrainResult): HTMLElement {
    const { discriminator } = done;
    return h(
      "p",
      { class: "buttons" },
      discriminator ? button(t().pretrain.hand, () => {
        fineTune(discriminator);
        go({ section: "finetune" });
      }, { class: "primary" }) : null,
      button(t().pretrain.download, () => save("pre-trained.zip", zip(done.files))),
    );
  }

  async function look(): Promise<void> {
    stopped = running ? null : await found();
    draw();
  }

  function redraw(): void {
    const kept = stopped;
    replace(
      waiting,
      kept && !running
        ? h("div", { class: "notice" }, h("p", {}, t().pretrain.found(kept.step, kept.options.steps)), h("p", { class: "buttons" }, button(t().pretrain.goOn, () => void goOn(kept), { class: "primary" }), button(t().pretrain.forget, () => void forget().then(look))))
        : null,
    );
    setup.hidden = running !== null;
    typed(text);
    drawRun();
  }
  draw = redraw;
  draw();
  if (!running) void look();
  return h("div", {}, h("h1", {}, t().pretrain.title), h("p", { class: "lead" }, t().pretrain.lead), waiting, setup, place);
}

const line = (name: string, key: string, split: string, style: number): Line => ({
  name,
  style,
  points: rows.flatMap((row) => (row.split === split && typeof row[key] === "number" ? [[row.step, row[key]] as [number, number]] : [])),
});

/** A held-out text as it is judged now; what stood there is told where a token was swapped. */
function sampleOf({ step: at, tokens }: Sample): HTMLElement {
  return figure(
    t().pretrain.samples,
    t().pretrain.sampleAt(at),
    h(
      "p",
      { class: "reading sample" },
      ...tokens.flatMap(({ token, original, replaced }) => {
        const isSwapped = token !== original;
        const piece = h("span", { class: `word level-${levelOf(replaced)}` }, token.replace(/^##/, ""), isSwapped ? h("span", { class: "original" }, t().pretrain.original(original.replace(/^##/, ""))) : null);
        return token.startsWith("##") ? [piece] : [" ", piece];
      }),
    ),
  );
}

// Tiny networks on one text, side by side: same seed, same data, same number of steps. What tells them apart is what is to be seen.
import { handbook } from "../files/handbook";
import { t } from "../strings";
import { alarm, engine, isCancelled } from "../view/app";
import { bars, curves, figure } from "../view/charts";
import { button, h, number } from "../view/dom";
import { redraw, runBar, seldom } from "../view/running";
import { judge, swaps } from "./judge";
import type { Running } from "../engine/client";
import type { PretrainOptions, PretrainResult, Progress } from "../engine/protocol";
import type { Shown } from "./index";

const STEPS = 400;
/** Characters at the end of the text that no network reads: the test is made of them. */
const HELD_OUT = 20_000;
const SENTENCES = 40;

export interface Contestant {
  key: string;
  name: () => string;
  /** How its line is drawn: 0 is the strongest. */
  style: number;
  kind?: "replaced";
  /** What it has of its own. */
  ask: Partial<PretrainOptions>;
}

export interface ContestWords {
  title: string;
  note: string;
  /** Over the bars of the last comparison. */
  end: string;
}

/** A figure in which `contestants` train and are compared; it goes on while the reader looks elsewhere. */
export function contest(words: () => ContestWords, contestants: readonly Contestant[]): () => Shown {
  const lanes = new Map<string, [number, number][]>();
  const steps = new Map<string, Extract<Progress, { kind: "step" }>>();
  let running: Running<PretrainResult>[] = [];
  let verdict: number[] = [];
  let isJudging = false;
  let isPaused = false;
  let seed = 1;
  let problem: unknown = null;
  let isCalledOff = false;

  /** How far the last of them is. */
  const slowest = () => (steps.size < contestants.length ? null : [...steps.values()].reduce((last, step) => (step.step < last.step ? step : last)));

  return () => {
    const { title, note, end } = words();
    const bar = runBar(title, {
      pause() {
        isPaused = !isPaused;
        for (const one of running) isPaused ? one.pause() : one.resume();
        draw();
      },
      cancel() {
        isCalledOff = true;
        running.forEach((one) => one.cancel());
      },
    });
    const begin = h("div", { class: "controls" }, number(t().common.seed, { min: 1, max: 99, value: seed }, (value) => (seed = value)), button(t().common.start, () => void start(), { class: "primary" }));
    const place = h("div", {});
    const draw = () => {
      const isOn = running.length > 0;
      const lines = contestants.map(({ key, name, style }) => ({ name: name(), points: lanes.get(key) ?? [], style }));
      begin.hidden = isOn;
      bar.update({ isOn, isPaused, step: slowest() });
      const result = verdict.length === contestants.length ? bars(end, contestants.map(({ name, kind }, index) => ({ name: name(), value: verdict[index] ?? 0, kind: kind ?? ("plain" as const) })), 1) : null;
      redraw(
        place,
        lanes.size > 0 || isOn ? figure(title, t().common.live, ...curves(title, lines, { low: 0.4, high: 0.9, mark: { at: 0.5, name: ".5" } }), h("p", { class: "quiet" }, note)) : null,
        isJudging ? h("p", { class: "quiet" }, t().learn.figure.judging) : null,
        result ? figure(end, t().common.live, result) : null,
        problem ? alarm(problem) : null,
      );
    };
    const drawSoon = seldom(draw);

    async function start(): Promise<void> {
      lanes.clear();
      [verdict, isCalledOff] = [[], false];
      steps.clear();
      problem = null;
      isPaused = false;
      const all = await handbook();
      const shared = { text: all.slice(0, -HELD_OUT), vocabulary: 1024, steps: STEPS, objective: "rtd", layers: 2, hidden: 32, batchSize: 16, sequenceLength: 48, learningRate: 2e-3, seed, sampleEvery: 50 };
      running = contestants.map(({ key, ask }) =>
        engine.pretrain({ options: { ...shared, ...ask } }, (progress: Progress) => {
          if (progress.kind === "step") steps.set(key, progress);
          if (progress.kind === "row" && progress.row.split === "validation" && typeof progress.row["swap_auc"] === "number") {
            lanes.set(key, [...(lanes.get(key) ?? []), [progress.row.step, progress.row["swap_auc"]]]);
          }
          drawSoon();
        }),
      );
      draw();
      const results = await Promise.allSettled(running.map(({ result }) => result));
      running = [];
      for (const result of results) {
        if (result.status === "rejected" && !isCancelled(result.reason)) problem = result.reason;
      }
      const trained = results.map((result) => (result.status === "fulfilled" ? result.value : null));
      const judged = trained.flatMap((networks) => networks?.discriminator ?? networks?.generator ?? []);
      if (judged.length === contestants.length) {
        isJudging = true;
        draw();
        try {
          verdict = await judge(judged, swaps(all.slice(-HELD_OUT), all, SENTENCES, seed), () => !isCalledOff);
        } catch (error) {
          problem = error;
        }
        isJudging = false;
      }
      for (const networks of trained) {
        for (const loaded of [networks?.discriminator, networks?.generator]) {
          if (loaded) void engine.unload(loaded.model).catch(() => undefined);
        }
      }
      draw();
    }
    draw();
    return { element: h("div", {}, begin, bar.element, place), update: () => undefined };
  };
}

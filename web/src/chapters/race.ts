// Three tiny networks on one text, side by side: same seed, same data, same number of steps.
import { handbook } from "../files/handbook";
import { t } from "../strings";
import { alarm, engine, isCancelled } from "../view/app";
import { curves, figure } from "../view/charts";
import { button, h, number } from "../view/dom";
import { redraw, runBar, seldom } from "../view/running";
import type { Running } from "../engine/client";
import type { PretrainResult, Progress } from "../engine/protocol";
import type { Shown } from "./index";

const RACERS = ["mlm", "electra_15", "rtd"] as const;
const STEPS = 400;
/** ELECTRA is drawn strongest. */
const STYLES = [3, 1, 0];

/** Beyond the page's life of the chapter, so that a race goes on while the reader looks elsewhere. */
const lanes = new Map<string, [number, number][]>();
const steps = new Map<string, Extract<Progress, { kind: "step" }>>();
let running: Running<PretrainResult>[] = [];
let isPaused = false;
let seed = 1;
let problem: unknown = null;

/** How far the last of them is. */
const slowest = () => (steps.size < RACERS.length ? null : [...steps.values()].reduce((last, step) => (step.step < last.step ? step : last)));

export function race(): Shown {
  const bar = runBar(t().learn.figure.race, {
    pause() {
      isPaused = !isPaused;
      for (const one of running) isPaused ? one.pause() : one.resume();
      draw();
    },
    cancel: () => running.forEach((one) => one.cancel()),
  });
  const begin = h("div", { class: "controls" }, number(t().common.seed, { min: 1, max: 99, value: seed }, (value) => (seed = value)), button(t().common.start, () => void start(), { class: "primary" }));
  const place = h("div", {});
  const draw = () => {
    const isOn = running.length > 0;
    const lines = RACERS.map((name, index) => ({ name: t().learn.racers[name], points: lanes.get(name) ?? [], style: STYLES[index] ?? index }));
    begin.hidden = isOn;
    bar.update({ isOn, isPaused, step: slowest() });
    redraw(place, lanes.size > 0 || isOn ? figure(t().learn.figure.race, t().common.live, ...curves(t().learn.figure.race, lines, { low: 0.4, high: 0.9, mark: { at: 0.5, name: ".5" } })) : null, problem ? alarm(problem) : null);
  };
  const drawSoon = seldom(draw);

  async function start(): Promise<void> {
    lanes.clear();
    steps.clear();
    problem = null;
    isPaused = false;
    const text = (await handbook()).slice(0, 120_000);
    const ask = (objective: string) => ({ text, vocabulary: 1024, steps: STEPS, objective, layers: 2, hidden: 32, batchSize: 16, sequenceLength: 48, learningRate: 2e-3, seed, sampleEvery: 50 });
    running = RACERS.map((name) =>
      engine.pretrain({ options: ask(name) }, (progress: Progress) => {
        if (progress.kind === "step") steps.set(name, progress);
        if (progress.kind === "row" && progress.row.split === "validation" && typeof progress.row["swap_auc"] === "number") {
          lanes.set(name, [...(lanes.get(name) ?? []), [progress.row.step, progress.row["swap_auc"]]]);
        }
        drawSoon();
      }),
    );
    draw();
    const results = await Promise.allSettled(running.map(({ result }) => result));
    running = [];
    for (const result of results) {
      if (result.status === "rejected" && !isCancelled(result.reason)) problem = result.reason;
      // Nobody asks these networks anything.
      if (result.status === "fulfilled") for (const loaded of [result.value.discriminator, result.value.generator]) if (loaded) void engine.unload(loaded.model).catch(() => undefined);
    }
    draw();
  }
  draw();
  return { element: h("div", {}, begin, bar.element, place), update: () => undefined };
}

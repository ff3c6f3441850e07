// Three tiny networks on one text, side by side: same seed, same data, same number of steps.
import { handbook } from "../files/handbook";
import { t } from "../strings";
import { alarm, engine, isCancelled } from "../view/app";
import { bars, curves, figure } from "../view/charts";
import { button, h, number } from "../view/dom";
import { redraw, runBar, seldom } from "../view/running";
import { judge, swaps } from "./judge";
import type { Running } from "../engine/client";
import type { PretrainResult, Progress } from "../engine/protocol";
import type { Shown } from "./index";

const RACERS = ["mlm", "electra_15", "rtd"] as const;
const STEPS = 400;
/** Characters at the end of the text that no network reads: the test is made of them. */
const HELD_OUT = 20_000;
const SENTENCES = 40;
/** ELECTRA is drawn strongest. */
const STYLES = [3, 1, 0];

/** Beyond the page's life of the chapter, so that a race goes on while the reader looks elsewhere. */
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
const slowest = () => (steps.size < RACERS.length ? null : [...steps.values()].reduce((last, step) => (step.step < last.step ? step : last)));

export function race(): Shown {
  const bar = runBar(t().learn.figure.race, {
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
    const lines = RACERS.map((name, index) => ({ name: t().learn.racers[name], points: lanes.get(name) ?? [], style: STYLES[index] ?? index }));
    begin.hidden = isOn;
    bar.update({ isOn, isPaused, step: slowest() });
    const result = verdict.length === RACERS.length ? bars(t().learn.figure.raceEnd, RACERS.map((name, index) => ({ name: t().learn.racers[name], value: verdict[index] ?? 0, kind: name === "rtd" ? "replaced" : "plain" })), 1) : null;
    redraw(place, lanes.size > 0 || isOn ? figure(t().learn.figure.race, t().common.live, ...curves(t().learn.figure.race, lines, { low: 0.4, high: 0.9, mark: { at: 0.5, name: ".5" } }), h("p", { class: "quiet" }, t().learn.figure.raceNote)) : null, isJudging ? h("p", { class: "quiet" }, t().learn.figure.judging) : null, result ? figure(t().learn.figure.raceEnd, t().common.live, result) : null, problem ? alarm(problem) : null);
  };
  const drawSoon = seldom(draw);

  async function start(): Promise<void> {
    lanes.clear();
    [verdict, isCalledOff] = [[], false];
    steps.clear();
    problem = null;
    isPaused = false;
    const all = await handbook();
    const text = all.slice(0, -HELD_OUT);
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
    }
    const networks = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.discriminator, result.value.generator].filter((loaded) => loaded !== null) : []));
    const [mlm, fifteen, rtd] = results.map((result) => (result.status === "fulfilled" ? (result.value.discriminator ?? result.value.generator) : null));
    draw();
    if (mlm && fifteen && rtd) {
      isJudging = true;
      draw();
      try {
        const [ofRtd = 0, ofFifteen = 0, ofMlm = 0] = await judge([rtd, fifteen, mlm], swaps(all.slice(-HELD_OUT), all, SENTENCES, seed), () => !isCalledOff);
        verdict = [ofMlm, ofFifteen, ofRtd];
      } catch (error) {
        problem = error;
      }
      isJudging = false;
    }
    for (const { model } of networks) void engine.unload(model).catch(() => undefined);
    draw();
  }
  draw();
  return { element: h("div", {}, begin, bar.element, place), update: () => undefined };
}

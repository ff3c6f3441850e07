// Three tiny networks on one text, side by side: same seed, same data, same number of steps.
import { handbook } from "../files/handbook";
import { t } from "../strings";
import { alarm, engine, isCancelled } from "../view/app";
import { curves, figure } from "../view/charts";
import { button, h, number, replace } from "../view/dom";
import type { Running } from "../engine/client";
import type { PretrainResult, Progress } from "../engine/protocol";
import type { Shown } from "./index";

const RACERS = ["mlm", "electra_15", "rtd"] as const;
export const STEPS = 400;

/** Beyond the page's life of the chapter, so that a race goes on while the reader looks elsewhere. */
const lanes = new Map<string, [number, number][]>();
let running: Running<PretrainResult>[] = [];
let isPaused = false;
let seed = 1;
let problem: unknown = null;

export function race(): Shown {
  const place = h("div", {});
  const draw = () => {
    const lines = RACERS.map((name, style) => ({ name: t().learn.racers[name], points: lanes.get(name) ?? [], style: [3, 1, 0][style] ?? style }));
    const isOn = running.length > 0;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset["does"] : undefined;
    replace(
      place,
      h(
        "div",
        { class: "controls" },
        number(t().common.seed, { min: 1, max: 99, value: seed }, (value) => (seed = value)),
        isOn
          ? button(isPaused ? t().common.resume : t().common.pause, () => {
              isPaused = !isPaused;
              for (const one of running) isPaused ? one.pause() : one.resume();
              draw();
            }, { "data-does": "pause" })
          : button(t().common.start, () => void start(), { class: "primary", "data-does": "pause" }),
        isOn && button(t().common.cancel, () => running.forEach((one) => one.cancel())),
      ),
      lanes.size > 0 || isOn ? figure(t().learn.figure.race, t().common.live, ...curves(t().learn.figure.race, lines, { low: 0.4, high: 0.9, mark: { at: 0.5, name: ".5" } })) : null,
      problem ? alarm(problem) : null,
    );
    if (focused) place.querySelector<HTMLElement>(`[data-does="${focused}"]`)?.focus();
  };

  async function start(): Promise<void> {
    lanes.clear();
    problem = null;
    isPaused = false;
    const text = (await handbook()).slice(0, 120_000);
    const ask = (objective: string) => ({ text, vocabulary: 1024, steps: STEPS, objective, layers: 2, hidden: 32, batchSize: 16, sequenceLength: 48, learningRate: 2e-3, seed, sampleEvery: 50 });
    running = RACERS.map((name) =>
      engine.pretrain({ options: ask(name) }, (progress: Progress) => {
        const measure = progress.kind === "row" && progress.row.split === "validation" ? progress.row["swap_auc"] : null;
        if (progress.kind !== "row" || typeof measure !== "number") return;
        lanes.set(name, [...(lanes.get(name) ?? []), [progress.row.step, measure]]);
        draw();
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
  return { element: place, update: () => undefined };
}

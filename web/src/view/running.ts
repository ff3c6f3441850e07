// What is drawn while something trains. Its buttons stay the same elements from step to step: one that is made anew between a press and
// its release is never clicked, and loses the focus. What is drawn anew is drawn a few times a second, not at every step.
import type { Progress } from "../engine/protocol";
import { t } from "../strings";
import { button, h, replace } from "./dom";

type Step = Extract<Progress, { kind: "step" }>;

export interface RunBar {
  element: HTMLElement;
  update(state: { isOn: boolean; isPaused: boolean; step: Step | null }): void;
}

export function runBar(label: string, actions: { pause(): void; cancel(): void }): RunBar {
  const progress = h("progress", { max: 1, "aria-label": label });
  const says = h("span", { class: "step-of" });
  const pause = button(t().common.pause, actions.pause);
  const element = h("div", { class: "controls running" }, progress, says, pause, button(t().common.cancel, actions.cancel));
  return {
    element,
    update({ isOn, isPaused, step }) {
      element.hidden = !isOn;
      pause.textContent = isPaused ? t().common.resume : t().common.pause;
      progress.hidden = step === null;
      if (step) [progress.max, progress.value] = [step.steps, step.step];
      says.textContent = step ? `${t().common.of(step.step, step.steps)} · ${t().common.secondsLeft(Math.ceil(step.secondsLeft))}` : t().common.working;
    },
  };
}

/** `draw`, at most four times a second, and once more after the last call. */
export function seldom(draw: () => void, pause_ms = 250): () => void {
  let timer: number | undefined;
  let last = 0;
  return () => {
    if (timer !== undefined) return;
    timer = window.setTimeout(() => {
      timer = undefined;
      last = performance.now();
      draw();
    }, Math.max(0, last + pause_ms - performance.now()));
  };
}

/** Replaces what a place shows; tables of numbers that the reader has opened, or scrolled to, stay so. */
export function redraw(place: Element, ...children: (Node | null)[]): void {
  const summaries = [...place.querySelectorAll("summary")];
  const open = [...place.querySelectorAll("details")].map((details) => details.open);
  const focused = summaries.findIndex((summary) => summary === document.activeElement);
  replace(place, ...children);
  place.querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? details.open));
  if (focused >= 0) place.querySelectorAll("summary")[focused]?.focus();
}

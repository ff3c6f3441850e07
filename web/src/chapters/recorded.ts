// Generator size and ways of training: recorded runs of this project's trainer (scripts/record-runs.mjs says which), and the flow of each way.
import runs from "../recorded/runs.json";
import { t } from "../strings";
import { set } from "../view/app";
import { curves, figure, type Line } from "../view/charts";
import { choice, h, replace, s } from "../view/dom";
import type { State } from "../view/router";
import { contest, type Contestant } from "./contest";
import type { Shown } from "./index";

type Points = [number, number][];
const ALL = "all";
/** The size that the paper recommends is drawn strongest. */
const STYLES: Record<string, number> = { "1/4": 0, unigram: 1, "1/2": 4, uniform: 3, "1": 5, "1/8": 2 };

const size = (share: string, generatorSize: number): Contestant => ({
  key: share,
  name: () => t().learn.generators.share(share),
  style: STYLES[share] ?? 2,
  ask: { generatorSize },
});

/** The same question to the reader's own machine. */
const sweep = contest(
  () => ({ title: t().learn.figure.sweep, note: t().learn.figure.sweepNote, end: t().learn.figure.sweepEnd }),
  [size("1/4", 1 / 4), size("1/2", 1 / 2), size("1", 1)],
);

export function generatorSize(): Shown {
  const place = h("div", {});
  let picked = ALL;
  const name = (generator: string) => (generator === "uniform" ? t().learn.generators.uniform : generator === "unigram" ? t().learn.generators.unigram : t().learn.generators.share(generator));
  const draw = () => {
    const shown = runs.size.map((run) => ({ ...run, style: STYLES[run.generator] ?? 2 })).filter(({ generator }) => picked === ALL || generator === picked);
    const lines = (key: "swapped" | "own"): Line[] => shown.map((run) => ({ name: name(run.generator), points: run[key] as Points, style: run.style }));
    const origin = t().learn.figure.recordedRuns(runs.steps);
    replace(
      place,
      figure(t().learn.figure.size, origin, ...curves(t().learn.figure.size, lines("swapped"), { low: 0.5, high: 0.9 })),
      figure(t().learn.figure.sizeOwn, origin, ...curves(t().learn.figure.sizeOwn, lines("own"), { low: 0.5, high: 1 })),
    );
  };
  const control = choice(t().learn.control.size, [[ALL, t().learn.control.sizeAll], ...runs.size.map(({ generator }) => [generator, name(generator)] as const)], picked, (value) => {
    picked = value;
    draw();
  });
  draw();
  const live = h("div", {}, h("h3", {}, t().learn.figure.sweepTry), sweep().element);
  return { element: h("div", {}, h("div", { class: "controls" }, control), place, live), update: () => undefined };
}

export function training(): Shown {
  const place = h("div", {});
  const bar = h("div", { class: "controls" });
  let drawn = "";
  return {
    element: h("div", {}, bar, place),
    update({ algorithm }) {
      if (drawn === algorithm) return;
      if (drawn === "") {
        replace(bar, choice(t().learn.control.algorithm, (["joint", "two_stage", "adversarial"] as const).map((way) => [way, t().learn.control[way]] as const), algorithm, (value) => set({ algorithm: value as State["algorithm"] })));
      }
      drawn = algorithm;
      const lines = runs.training.map((run, style): Line => ({ name: t().learn.control[run.algorithm as State["algorithm"]], points: run.swapped as Points, style }));
      replace(
        place,
        figure(t().learn.figure.training, t().learn.control[algorithm], h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": t().learn.figure.training }, flow(algorithm)), h("p", {}, t().learn.flow[algorithm])),
        lines.length > 1 ? figure(t().learn.figure.trainingCurve, t().learn.figure.recordedRuns(runs.steps), ...curves(t().learn.figure.trainingCurve, lines, { low: 0.5, high: 0.9 })) : null,
      );
    },
  };
}

/** Boxes and arrows: solid where text goes, dashed where a loss teaches. */
function flow(algorithm: State["algorithm"]): SVGElement {
  const words = t().learn.flow;
  const node = (x: number, y: number, name: string, kind: string, width = 104) => [
    s("rect", { x: x - width / 2, y: y - 20, width, height: 40, rx: 8, class: `node ${kind}` }),
    s("text", { x, y: y + 5, "text-anchor": "middle", class: "name-of" }, name),
  ];
  const arrow = (d: string, kind: string, label?: string, at?: readonly [number, number]) => [
    s("path", { d, class: `arrow ${kind}`, "marker-end": `url(#head-${kind})` }),
    ...(label && at ? [s("text", { x: at[0], y: at[1], "text-anchor": "middle", class: "on-arrow" }, label)] : []),
  ];
  const head = (kind: string) => s("marker", { id: `head-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, s("path", { d: "M0 0 8 4 0 8z", class: `tip ${kind}` }));
  return s(
    "svg",
    { viewBox: "0 0 660 220", class: "chart flow", role: "img", "aria-label": `${t().learn.figure.training}: ${words[algorithm]}` },
    s("defs", {}, head("plain"), head("generator"), head("replaced")),
    ...node(46, 60, words.text, "plain", 76),
    ...node(152, 60, words.mask, "plain", 76),
    ...node(282, 60, words.generator, "generator", 116),
    ...node(414, 60, words.sample, "plain", 76),
    ...node(566, 60, words.discriminator, "replaced", 140),
    ...arrow("M84 60H112", "plain"),
    ...arrow("M190 60H222", "plain"),
    ...arrow("M340 60H374", "plain"),
    ...arrow("M452 60H494", "plain"),
    ...node(566, 170, words.rtdLoss, "plain", 116),
    ...arrow("M566 150V84", "replaced"),
    ...(algorithm === "adversarial"
      ? arrow("M508 170H282V84", "generator", words.reward, [390, 160])
      : [...node(282, 170, words.mlmLoss, "plain", 116), ...arrow("M282 150V84", "generator")]),
    ...(algorithm === "two_stage" ? arrow("M282 40C300 2 540 2 562 36", "plain", `${words.copy} · ${words.frozen}`, [424, 30]) : []),
  );
}

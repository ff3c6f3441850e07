// Curves while a fine-tuning runs, and what came of it: scores beside baselines, confusion, misread texts, a box to try, the folder.
import type { FineTuneResult, Loaded, MetricsRow } from "../../engine/protocol";
import { save } from "../../files/dropped";
import { zip } from "../../files/zip";
import { digits, t } from "../../strings";
import { alarm, engine } from "../../view/app";
import { bars, curves, figure, type Line } from "../../view/charts";
import { button, fresh, h, replace } from "../../view/dom";
import type { Job } from "../finetune";

/** The score that a task is judged by: the first of these that there is. */
const SCORES = ["accuracy", "f1", "pearson", "spearman", "matthews"];
export const mainScore = (scores: Record<string, unknown>) => SCORES.find((name) => typeof scores[name] === "number");

const points = (rows: readonly MetricsRow[], key: string, split: string): [number, number][] =>
  rows.flatMap((row) => {
    const value = row[key];
    return row.split === split && typeof value === "number" ? [[row.step, value] as [number, number]] : [];
  });

export function curvesOf(jobs: readonly Job[]): HTMLElement[] {
  const name = (job: Job) => (job.kind === "tuned" ? t().finetune.tuned : t().finetune.fromScratch);
  const losses = jobs.map((job, style): Line => ({ name: name(job), points: points(job.rows, "loss", "train"), style }));
  const judged = jobs.flatMap((job) => job.rows).find((row) => row.split === "validation" && mainScore(row));
  const measure = judged && mainScore(judged);
  const baseline = jobs[0]?.result?.baselines["majority"]?.[measure ?? ""];
  return [
    figure(t().finetune.loss, t().common.live, ...curves(t().finetune.loss, losses, { low: 0 })),
    ...(measure
      ? [
          figure(
            `${t().finetune.score}: ${t().finetune.metrics[measure] ?? measure}`,
            t().common.live,
            ...curves(t().finetune.score, jobs.map((job, style): Line => ({ name: name(job), points: points(job.rows, measure, "validation"), style })), {
              low: 0,
              high: 1,
              ...(baseline === undefined ? {} : { mark: { at: baseline, name: t().finetune.baselines["majority"] ?? "" } }),
            }),
          ),
        ]
      : []),
  ];
}

export function resultOf(result: FineTuneResult, scratch: FineTuneResult | null, isReady: boolean): HTMLElement[] {
  const measure = mainScore(result.scores) ?? Object.keys(result.scores)[0] ?? "accuracy";
  const named = t().finetune.metrics[measure] ?? measure;
  const systems: { name: string; value: number | undefined; kind: "replaced" | "plain" }[] = [
    { name: t().finetune.tuned, value: result.scores[measure], kind: "replaced" },
    ...(scratch ? [{ name: t().finetune.fromScratch, value: scratch.scores[measure], kind: "plain" as const }] : []),
    ...Object.entries(result.baselines).map(([name, scores]) => ({ name: t().finetune.baselines[name] ?? name, value: scores[measure], kind: "plain" as const })),
  ];
  const known = systems.flatMap(({ name, value, kind }) => (value === undefined ? [] : [{ name, value, kind, said: digits(value, 3) }]));
  return [
    h("h2", {}, t().finetune.result),
    figure(named, t().finetune.resultNote, bars(named, known, 1)),
    ...(result.confusion ? [confusion(result.confusion)] : []),
    worst(result.worst),
    h(
      "p",
      { class: "buttons" },
      button(t().finetune.download, () => save("fine-tuned.zip", zip(Object.fromEntries(Object.entries(result.files).map(([path, bytes]) => [`fine-tuned/${path}`, bytes])))), { class: "primary", disabled: !isReady }),
    ),
    h("p", { class: "quiet" }, t().finetune.downloadNote),
  ];
}

function confusion({ labels, counts }: { labels: string[]; counts: number[][] }): HTMLElement {
  return h(
    "figure",
    {},
    h("figcaption", {}, t().finetune.confusion),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": t().finetune.confusion },
      h(
        "table",
        { class: "confusion" },
        h("thead", {}, h("tr", {}, h("td", {}), ...labels.map((label) => h("th", { scope: "col" }, label)))),
        h("tbody", {}, ...counts.map((row, at) => h("tr", {}, h("th", { scope: "row" }, labels[at] ?? ""), ...row.map((count, column) => h("td", { class: column === at ? "right" : count > 0 ? "miss" : "" }, count))))),
      ),
    ),
  );
}

function worst(all: FineTuneResult["worst"]): HTMLElement {
  if (all.length === 0) return h("p", {}, t().finetune.noneWrong);
  return h(
    "details",
    { open: true },
    h("summary", {}, t().finetune.worst),
    h(
      "ul",
      { class: "worst" },
      ...all.map(({ text, right, predicted, probability }) => h("li", {}, h("p", {}, text), h("p", { class: "quiet" }, `${t().finetune.rightLabel}: ${right} · ${t().finetune.said}: `, h("span", { class: "replaced" }, predicted), ` (${t().common.percent(probability)})`))),
    ),
  );
}

export function tryBox(network: Loaded, hasPair: boolean): HTMLElement {
  const [field, second] = [fresh("try"), fresh("try")];
  const answer = h("div", { "aria-live": "polite" });
  const input = h("input", { type: "text", id: field, maxlength: 1000, spellcheck: "false", input: () => ask() });
  const pair = h("input", { type: "text", id: second, maxlength: 1000, spellcheck: "false", input: () => ask() });
  let timer = 0;
  let newest = 0;
  function ask(): void {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      const mine = (newest += 1);
      if (input.value.trim() === "") return replace(answer);
      engine.classify({ model: network.model, text: input.value, ...(hasPair && pair.value ? { pair: pair.value } : {}) }).then(
        ({ probabilities, value }) => {
          if (mine !== newest) return;
          replace(answer, value === null ? bars(t().finetune.tryIt, Object.entries(probabilities).map(([name, share]) => ({ name, value: share, said: t().common.percent(share), kind: "replaced" as const })), 1) : h("p", { class: "verdict" }, digits(value, 3)));
        },
        (error: unknown) => mine === newest && replace(answer, alarm(error)),
      );
    }, 150);
  }
  return h(
    "section",
    { class: "try-box" },
    h("h2", {}, t().finetune.tryIt),
    h("div", { class: "field" }, h("label", { for: field }, t().finetune.tryField), input),
    hasPair ? h("div", { class: "field" }, h("label", { for: second }, t().finetune.tryPair), pair) : null,
    answer,
  );
}

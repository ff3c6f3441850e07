// What is said of a table before anything is trained on it.
import type { TableReport } from "../../engine/protocol";
import { t } from "../../strings";
import { bars } from "../../view/charts";
import { h } from "../../view/dom";

const FEW_OF_A_LABEL = 10;
const FEW_ROWS = 100;
const UNEVEN = 0.8;

/** What the reader should know before the results surprise them. */
export function warningsOf(report: Pick<TableReport, "kind" | "labels" | "rows">): string[] {
  const words = t().finetune;
  const all: string[] = [];
  if (report.kind === "classification") {
    const { labels } = report;
    if (labels.length < 2 || labels.length > 20) return [words.labelsRange(labels.length)];
    const sum = labels.reduce((total, { count }) => total + count, 0);
    for (const { label, count } of labels) {
      if (count < FEW_OF_A_LABEL) all.push(words.few(label, count));
      if (count > UNEVEN * sum) all.push(words.uneven(label, Math.round((100 * count) / sum)));
    }
  }
  if (report.rows < FEW_ROWS) all.push(words.small(report.rows));
  return all;
}

export function reportOf(report: TableReport): HTMLElement[] {
  const high = Math.max(1, ...report.labels.map(({ count }) => count));
  const preview = h(
    "details",
    {},
    h("summary", {}, t().finetune.preview),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": t().finetune.preview },
      h("table", {}, h("thead", {}, h("tr", {}, ...report.columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...report.preview.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell)))))),
    ),
  );
  return [
    h("p", {}, t().finetune.counts(report.rows)),
    ...(report.labels.length > 0 ? [bars(t().finetune.counts(report.rows), report.labels.slice(0, 20).map(({ label, count }) => ({ name: label, value: count, said: String(count) })), high)] : []),
    ...(report.notes.length > 0 ? [h("details", {}, h("summary", {}, t().finetune.notes), h("ul", {}, ...report.notes.map((note) => h("li", { lang: "en" }, note))))] : []),
    preview,
  ];
}

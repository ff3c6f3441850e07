// The paper's own numbers (tables 1, 2 and 5, and figure 2), with the operations that its counting gives (docs/electra-semantics.md).
import { t } from "../strings";
import { set } from "../view/app";
import { bars, figure, scatter, type Point } from "../view/charts";
import { choice, h, replace } from "../view/dom";
import type { Shown } from "./index";

export const GLUE: readonly Point[] = [
  { name: "ELECTRA-Small", x: 1.4e18, y: 79.9, kind: "replaced" },
  { name: "BERT-Small", x: 1.4e18, y: 75.1, kind: "plain" },
  { name: "GPT", x: 4.0e19, y: 78.8, kind: "plain" },
  { name: "BERT-Base", x: 6.4e19, y: 82.2, kind: "plain" },
  { name: "ELECTRA-Base", x: 6.4e19, y: 85.1, kind: "replaced" },
  { name: "ELECTRA-400K", x: 7.1e20, y: 89.0, kind: "replaced", anchor: "end" },
  { name: "ELECTRA-1.75M", x: 3.1e21, y: 89.5, kind: "replaced", anchor: "middle" },
  { name: "RoBERTa-500K", x: 3.2e21, y: 88.9, kind: "plain", anchor: "middle", below: true },
  { name: "XLNet", x: 3.9e21, y: 89.1, kind: "plain", anchor: "start" },
];

export const ABLATIONS = [
  ["ELECTRA", 85.0],
  ["All-Tokens MLM", 84.3],
  ["Replace MLM", 82.4],
  ["ELECTRA 15 %", 82.4],
  ["BERT", 82.2],
] as const;

export function paper(): Shown {
  const place = h("div", {});
  const bar = h("div", { class: "controls" });
  let drawn = "";
  return {
    element: h("div", {}, bar, place),
    update({ scale }) {
      if (drawn === scale) return;
      if (drawn === "") replace(bar, choice(t().learn.control.scale, [["log", t().learn.control.log], ["linear", t().learn.control.linear]], scale, (value) => set({ scale: value === "linear" ? "linear" : "log" })));
      drawn = scale;
      replace(
        place,
        figure(t().learn.figure.paperScatter, t().common.paper, ...scatter(t().learn.figure.paperScatter, GLUE, ["FLOPs", "GLUE"], scale)),
        figure(t().learn.figure.paperBars, t().common.paper, bars(t().learn.figure.paperBars, ABLATIONS.map(([name, value]) => ({ name, value, said: value.toFixed(1), kind: name === "ELECTRA" ? "replaced" : "plain" })), 86, 80), h("p", { class: "quiet" }, t().learn.figure.paperBarsNote)),
      );
    },
  };
}

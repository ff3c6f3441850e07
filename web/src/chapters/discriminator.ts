// What the discriminator says of each token, and whom each token asks.
import { t } from "../strings";
import { route, set } from "../view/app";
import { columns, figure, heat } from "../view/charts";
import { choice, h, replace, slider } from "../view/dom";
import type { Shown } from "./index";
import { clean, onWalk } from "./walked";

export function discriminator(): Shown {
  return onWalk(
    (state) => [slider(t().learn.control.threshold, { min: 0.05, max: 0.95, step: 0.05, value: state.threshold }, (value) => t().common.percent(value), (value) => set({ threshold: value }))],
    (walk, state) => {
      const names = walk.corrupted.map(({ token }) => token);
      const inside = names.slice(1, -1);
      const flagged = inside.filter((_, index) => (walk.probabilities[index + 1] ?? 0) >= state.threshold);
      const counts = (count: number) => Array.from({ length: count }, (_, index) => [String(index), String(index + 1)] as const);
      const layer = Math.min(state.layer, walk.layers - 1);
      const head = Math.min(state.head, walk.heads - 1);
      const length = walk.tokens.length;
      const start = (layer * walk.heads + head) * length * length;
      const pattern = h("div", {});
      replace(pattern, ...heat(t().learn.figure.attention, names, (query, key) => walk.attention[start + query * length + key] ?? 0));
      return [
        figure(
          t().learn.figure.discriminator,
          t().common.live,
          ...columns(t().learn.figure.discriminator, inside, walk.probabilities.slice(1, -1), [t().common.probability], { high: 1, mark: state.threshold, hatched: walk.replaced.slice(1, -1) }),
          h("p", { class: "verdict" }, `≥ ${t().common.percent(state.threshold)}: `, flagged.length > 0 ? flagged.map(clean).join(", ") : "–"),
          h("p", { class: "quiet" }, `○ ${t().learn.figure.replaced}`),
        ),
        figure(
          t().learn.figure.attention,
          t().common.live,
          h(
            "div",
            { class: "controls" },
            choice(t().learn.control.layer, counts(walk.layers), String(layer), (value) => set({ layer: Number(value), head: route().state.head })),
            choice(t().learn.control.head, counts(walk.heads), String(head), (value) => set({ head: Number(value) })),
          ),
          pattern,
        ),
      ];
    },
  );
}

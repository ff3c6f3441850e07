// The loss of one sentence, token by token, and where each objective's gradient begins.
import type { Walk } from "../engine/protocol";
import { digits, t } from "../strings";
import { set } from "../view/app";
import { columns, figure, legendOfBars } from "../view/charts";
import { choice, h, slider } from "../view/dom";
import type { Shown } from "./index";
import { onWalk } from "./walked";

const mean = (values: readonly number[]) => (values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : 0);

/** What each token adds to the loss: means are over masked positions, and over all but [CLS] and [SEP]. */
export function terms(walk: Pick<Walk, "masked" | "mlmLosses" | "rtdLosses" | "tokens">, lambda: number): { mlm: number[]; rtd: number[]; mlmMean: number; rtdMean: number } {
  const inside = walk.rtdLosses.slice(1, -1);
  const mlm = inside.map((_, index) => {
    const slot = walk.masked.indexOf(index + 1);
    return slot < 0 ? 0 : (walk.mlmLosses[slot] ?? 0) / walk.masked.length;
  });
  return { mlm, rtd: inside.map((value) => (lambda * value) / inside.length), mlmMean: mean(walk.mlmLosses), rtdMean: mean(inside) };
}

export function loss(): Shown {
  return onWalk(
    (state) => [slider(t().learn.control.lambda, { min: 0, max: 100, step: 5, value: state.lambda }, String, (value) => set({ lambda: value }))],
    (walk, state) => {
      const { mlm, rtd, mlmMean, rtdMean } = terms(walk, state.lambda);
      const names = [`${state.lambda} × RTD`, "MLM"] as const;
      return [
        figure(
          t().learn.figure.loss,
          t().common.live,
          h("p", { class: "formula" }, t().learn.figure.lossSum(digits(mlmMean), state.lambda, digits(rtdMean, 3), digits(mlmMean + state.lambda * rtdMean))),
          ...columns(t().learn.figure.loss, walk.corrupted.slice(1, -1).map(({ token }) => token), rtd, names, { second: mlm }),
          legendOfBars([{ name: names[1], kind: "generator" }, { name: names[0], kind: "replaced" }]),
          h("p", { class: "quiet" }, t().learn.figure.lossNote),
        ),
      ];
    },
  );
}

export function allTokens(): Shown {
  return onWalk(
    (state) => [choice(t().learn.control.objective, [["mlm", t().learn.control.mlm], ["rtd", t().learn.control.rtd]], state.objective, (value) => set({ objective: value === "rtd" ? "rtd" : "mlm" }))],
    (walk, state) => {
      const isMlm = state.objective === "mlm";
      const gradients = walk.gradients[state.objective].slice(1, -1);
      const reached = walk.inputGradients[state.objective].slice(1, -1);
      const tokens = (isMlm ? walk.tokens : walk.corrupted).slice(1, -1).map(({ token }, index) => (isMlm && walk.masked.includes(index + 1) ? "[MASK]" : token));
      const share = gradients.filter((value) => value > 0).length / Math.max(1, gradients.length);
      const kind = isMlm ? "generator" : "replaced";
      return [
        figure(
          t().learn.figure.gradients,
          t().common.live,
          h("p", { class: "formula" }, `${t().learn.figure.asked}: ${t().common.percent(share)}`),
          ...columns(t().learn.figure.gradients, tokens, gradients, [t().learn.figure.gradients], { kind }),
        ),
        figure(t().learn.figure.reached, t().common.live, ...columns(t().learn.figure.reached, tokens, reached, [t().learn.figure.reached], { kind })),
      ];
    },
  );
}

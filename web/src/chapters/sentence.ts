// Tokens, mask, generator, replacement: what happens to a sentence before the discriminator reads it.
import type { Walk } from "../engine/protocol";
import { digits, t } from "../strings";
import { route, set } from "../view/app";
import { bars, figure, numbers } from "../view/charts";
import { button, choice, h, slider } from "../view/dom";
import { formatChosen, parseChosen, type State } from "../view/router";
import type { Shown } from "./index";
import { onWalk } from "./walked";

const seed = () => button(t().learn.resample, () => set({ seed: (route().state.seed % 999) + 1, chosen: "" }));
export const rate = (state: State) =>
  slider(t().learn.control.rate, { min: 5, max: 50, step: 5, value: state.rate }, (value) => `${value} %`, (value) => set({ rate: value, chosen: "" }));

/** A token in a box, with what is to be said of it below. */
function box(token: string, below: string, kind = ""): HTMLElement {
  return h("li", { class: `token ${kind}` }, h("span", { class: "piece", lang: "en" }, token), h("span", { class: "below" }, below));
}

const row = (caption: string, ...boxes: HTMLElement[]) => h("ol", { class: "tokens", "aria-label": caption }, ...boxes);

export function tokens(): Shown {
  return onWalk(
    () => [],
    (walk) => [
      figure(t().learn.figure.tokens, t().common.live, row(t().learn.figure.tokens, ...walk.tokens.map(({ token, id }) => box(token, String(id), token.startsWith("##") ? "continued" : "")))),
      numbers(t().learn.figure.tokens, [t().common.token, "id"], walk.tokens.map(({ token, id }) => [token, id])),
    ],
  );
}

const isMasked = (walk: Walk, position: number) => walk.masked.includes(position);

export function mask(): Shown {
  return onWalk(
    (state) => [rate(state), seed()],
    (walk) => [
      figure(
        t().learn.figure.mask,
        t().common.live,
        row(t().learn.figure.mask, ...walk.tokens.map(({ token }, position) => (isMasked(walk, position) ? box("[MASK]", token, "masked") : box(token, "")))),
        h("p", { class: "quiet" }, `${walk.masked.length} / ${walk.tokens.length - 2}`),
      ),
    ],
  );
}

export function generator(): Shown {
  return onWalk(
    (state) => [slider(t().learn.control.temperature, { min: 0.1, max: 3, step: 0.1, value: state.temperature }, (value) => value.toFixed(1), (value) => set({ temperature: value })), seed()],
    (walk) =>
      walk.proposals.map(({ position, top, drawn }) => {
        const original = walk.tokens[position]?.token ?? "";
        const isListed = top.some(({ id }) => id === drawn.id);
        const all = isListed ? top : [...top, drawn];
        const caption = `${t().learn.figure.generator}: “${original}”`;
        return figure(
          caption,
          t().common.live,
          bars(caption, all.map(({ token, id, probability }) => ({ name: id === drawn.id ? `${token} ← ${t().learn.figure.drawn}` : token, value: probability, said: t().common.percent(probability), kind: "generator" as const })), 1),
        );
      }),
  );
}

export function replacement(): Shown {
  return onWalk(
    () => [seed()],
    (walk, state) => [
      figure(
        t().learn.figure.replace,
        t().common.live,
        row(
          t().learn.figure.replace,
          ...walk.corrupted.map(({ token }, position) => {
            const original = walk.tokens[position]?.token ?? "";
            if (!isMasked(walk, position)) return box(token, "");
            return walk.replaced[position] ? box(token, original, "swapped") : box(token, t().learn.figure.originalLabel, "kept");
          }),
        ),
      ),
      h(
        "div",
        { class: "controls column" },
        ...walk.proposals.flatMap(({ position, top, drawn }) => {
          const original = walk.tokens[position]?.token ?? "";
          const all = top.some(({ id }) => id === drawn.id) ? top : [drawn, ...top];
          const pick = choice(
            t().learn.figure.pick(original),
            all.map(({ id, token, probability }) => [String(id), `${token} (${digits(probability)})`] as const),
            String(drawn.id),
            (id) => set({ chosen: formatChosen({ ...parseChosen(state.chosen), [position]: Number(id) }) }),
          );
          const label = walk.replaced[position] ? h("span", { class: "replaced" }, t().learn.figure.replaced) : h("span", { class: "quiet" }, t().learn.figure.sampledOriginal);
          return [h("div", { class: "pick" }, pick, label)];
        }),
      ),
    ],
  );
}

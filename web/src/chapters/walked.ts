// What chapters on a sentence share: they draw one walk through both networks, and the newest alone.
import type { Walk } from "../engine/protocol";
import { t } from "../strings";
import { alarm, begin, chip, walk } from "../view/app";
import { h, replace } from "../view/dom";
import type { State } from "../view/router";
import type { Shown } from "./index";

/** `draw` gives the figure's content; it is called again whenever the address or the walk changes. */
export function onWalk(controls: (state: State) => readonly HTMLElement[], draw: (walk: Walk, state: State) => readonly Node[]): Shown {
  const bar = h("div", { class: "controls" });
  const place = h("div", { class: "drawn", "aria-live": "off" }, h("p", { class: "quiet" }, t().common.working));
  let newest = 0;
  let hasControls = false;
  let last = "";
  return {
    element: h("div", {}, bar, place),
    update(state) {
      if (!hasControls) replace(bar, ...controls(state));
      hasControls = true;
      // The chip changes often while a model is loading.
      const key = JSON.stringify([state, chip.stage]);
      if (key === last) return;
      last = key;
      newest += 1;
      const mine = newest;
      void begin()
        .then(() => walk(state))
        .then(
          (walked) => mine === newest && replace(place, ...draw(walked, state)),
          (error: unknown) => mine === newest && replace(place, alarm(error)),
        );
    },
  };
}

/** Whether a position is one that the loss looks at: neither [CLS] nor [SEP]. */
export const isWord = (walk: Walk, position: number) => position > 0 && position < walk.tokens.length - 1;

export const clean = (token: string) => token.replace(/^##/, "");

// One live figure for each chapter, with its control. A figure is made once and updated as the state in the address changes.
import type { Chapter, State } from "../view/router";
import { discriminator } from "./discriminator";
import { allTokens, loss } from "./learning";
import { paper } from "./paper";
import { race } from "./race";
import { generatorSize, training } from "./recorded";
import { generator, mask, replacement, tokens } from "./sentence";

export interface Shown {
  element: HTMLElement;
  update(state: State): void;
}

export const CHAPTER_FIGURES: Record<Chapter, () => Shown> = {
  tokens,
  mask,
  generator,
  replace: replacement,
  discriminator,
  loss,
  "all-tokens": allTokens,
  "generator-size": generatorSize,
  training,
  race,
  paper,
};

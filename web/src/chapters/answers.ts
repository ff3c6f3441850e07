// Which of a chapter's choices is right, from 0; the strings of both languages have them in the same order.
import type { Chapter } from "../view/router";

export const ANSWERS: Record<Chapter, number> = {
  tokens: 1,
  mask: 0,
  generator: 0,
  replace: 1,
  discriminator: 1,
  loss: 0,
  "all-tokens": 1,
  "generator-size": 1,
  training: 0,
  race: 2,
  paper: 1,
};

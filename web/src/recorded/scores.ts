// The page's sentences, each with one word swapped, and what the page's model says of them, so that the first look needs no model.
// `node scripts/record-scores.mjs ELECTRA MODEL` writes scores.json.
import type { ScoredToken } from "../engine/protocol";
import scores from "./scores.json";

export const MODEL: string = scores.model;
export const SENTENCES: readonly { text: string; tokens: ScoredToken[] }[] = scores.sentences;

// What the stand-in answers, without a model: words for tokens, and numbers that are functions of the text alone.
import type { Proposal, Token } from "../../src/engine/protocol";

const COMMON = ["time", "house", "door", "river", "hand", "street", "chair", "table", "garden", "window"];
/** Words that it takes for fakes: they stand in the page's sentences. */
const ODD = /^(kettle|spoon|violin|turnip|umbrella)$/i;

/** A number in 0..1 that the text decides. */
export function chance(text: string): number {
  let hash = 2166136261;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 16777619) >>> 0;
  return (hash >>> 8) / 2 ** 24;
}

export const idOf = (token: string) => 200 + Math.floor(chance(token) * 8000);

/** Words and marks; a word of more than nine letters is two pieces. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (const match of text.matchAll(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu)) {
    const [word] = match;
    const start = match.index;
    const lower = word.toLowerCase();
    if (word.length > 9) {
      tokens.push({ token: lower.slice(0, 6), id: idOf(lower.slice(0, 6)), start, end: start + 6 });
      tokens.push({ token: `##${lower.slice(6)}`, id: idOf(`##${lower.slice(6)}`), start: start + 6, end: start + word.length });
    } else tokens.push({ token: lower, id: idOf(lower), start, end: start + word.length });
  }
  return tokens;
}

export const replacedOf = (token: string, context: string) => (ODD.test(token) ? 0.93 : 0.02 + 0.2 * chance(`${token}|${context.length}`));

export function proposalsFor(original: string, temperature: number): Proposal[] {
  const words = [original, ...COMMON.filter((word) => word !== original).slice(0, 4)];
  const weights = words.map((_, index) => Math.exp((2 - index) / temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return words.map((token, index) => ({ token, id: idOf(token), probability: (0.9 * (weights[index] ?? 0)) / sum }));
}

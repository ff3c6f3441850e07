// One test for networks that learnt by different tasks: find the word that was swapped for another of about the same frequency, in
// sentences that none of them has read. A discriminator says how suspicious each word is; a network that fills gaps is asked for each
// token how likely it finds it there. .5 is guessing.
import type { Loaded, ScoredToken } from "../engine/protocol";
import { wordsOf } from "../sections/try";
import { engine } from "../view/app";

export interface Swapped {
  text: string;
  /** Where the swapped word begins. */
  start: number;
}

/** A number that the words of `key` and a seed decide, below `limit`. */
function draw(key: string, limit: number): number {
  let hash = 2166136261;
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 16777619) >>> 0;
  return Math.floor(((hash >>> 8) / 2 ** 24) * limit);
}

/** Up to `count` sentences of `text`, each with one word swapped; how frequent words are, all of `counted` says. */
export function swaps(text: string, counted: string, count: number, seed: number): Swapped[] {
  const frequency = new Map<string, number>();
  for (const word of counted.toLowerCase().match(/[a-z]+/g) ?? []) frequency.set(word, (frequency.get(word) ?? 0) + 1);
  const all = [...frequency];
  const sentences = text.split(/(?<=[.:;])\s+|\n+/).map((line) => line.replace(/[`*|#]/g, " ").replace(/\s+/g, " ").trim()).filter((line) => /^[A-Za-z][A-Za-z ,'-]{30,110}[.:;]?$/.test(line));
  const made: Swapped[] = [];
  for (const sentence of sentences) {
    if (made.length === count) break;
    const words = [...sentence.matchAll(/[A-Za-z]+/g)];
    const chosen = words[draw(`${seed} ${sentence}`, words.length)];
    if (!chosen) continue;
    const [word] = chosen;
    const often = frequency.get(word.toLowerCase()) ?? 0;
    const like = all.filter(([other, times]) => other !== word.toLowerCase() && Math.abs(Math.log2(times / often)) <= 0.5);
    const other = like[draw(`${sentence} ${seed}`, like.length)];
    if (!other) continue;
    made.push({ text: sentence.slice(0, chosen.index) + other[0] + sentence.slice(chosen.index + word.length), start: chosen.index });
  }
  return made;
}

/** Share of the other words that look less swapped; one that looks the same counts half. */
export function found(words: readonly { start: number; replaced: number }[], start: number): number | null {
  const swapped = words.find((word) => word.start === start);
  const others = words.filter((word) => word !== swapped);
  if (!swapped || others.length === 0) return null;
  return others.reduce((sum, { replaced }) => sum + (replaced < swapped.replaced ? 1 : replaced === swapped.replaced ? 0.5 : 0), 0) / others.length;
}

/** Each network's mean over the sentences; one must be a discriminator: the tokens of the first are those of all. */
export async function judge(networks: readonly Loaded[], all: readonly Swapped[], isWanted: () => boolean): Promise<number[]> {
  const sums = networks.map(() => 0);
  let counted = 0;
  const first = networks.find(({ kind }) => kind === "discriminator");
  if (!first) return [];
  for (const { text, start } of all) {
    if (!isWanted()) return [];
    const { tokens } = await engine.score({ model: first.model, text });
    const scores: (number | null)[] = [];
    for (const network of networks) {
      const judged = network === first ? tokens : network.kind === "discriminator" ? (await engine.score({ model: network.model, text })).tokens : await surprise(network, text, tokens);
      scores.push(found(wordsOf(text, judged), start));
    }
    if (scores.includes(null)) continue;
    scores.forEach((score, index) => (sums[index] = (sums[index] ?? 0) + (score ?? 0)));
    counted += 1;
  }
  return sums.map((sum) => sum / Math.max(1, counted));
}

/** How unlikely a network that fills gaps finds each token in its place: 1 minus the probability. */
async function surprise(network: Loaded, text: string, tokens: readonly ScoredToken[]): Promise<ScoredToken[]> {
  const judged: ScoredToken[] = [];
  for (const [position, token] of tokens.entries()) {
    const { proposals } = await engine.propose({ model: network.model, text, position, top: network.vocabulary });
    judged.push({ ...token, replaced: 1 - (proposals.find(({ id }) => id === token.id)?.probability ?? 0) });
  }
  return judged;
}

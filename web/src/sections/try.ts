// "Try it": a sentence, how suspicious each word is, and what the generator would put in a word's place.
import type { Proposal, ScoredToken } from "../engine/protocol";
import { SENTENCES } from "../recorded/scores";
import { t } from "../strings";
import { alarm, begin, chip, engine, networks, onChange, route, set, textOf } from "../view/app";
import { button, fresh, h, replace } from "../view/dom";
import { TEXT_LIMIT } from "../view/router";

interface Scored {
  text: string;
  tokens: ScoredToken[];
  isLive: boolean;
}

/** From the start of a word to its end: pieces that continue it are shown with it, and the worst of them counts. */
interface Word {
  text: string;
  start: number;
  end: number;
  replaced: number;
  /** Of its first token, without [CLS]. */
  position: number;
}

export function wordsOf(text: string, tokens: readonly ScoredToken[]): Word[] {
  const words: Word[] = [];
  tokens.forEach((token, position) => {
    const last = words.at(-1);
    if (last && token.token.startsWith("##") && token.start === last.end) {
      last.end = token.end;
      last.text = text.slice(last.start, last.end);
      last.replaced = Math.max(last.replaced, token.replaced);
    } else words.push({ text: text.slice(token.start, token.end), start: token.start, end: token.end, replaced: token.replaced, position });
  });
  return words;
}

/** One of five weights of a line below a word, so that colour is not all there is to see. */
export const levelOf = (replaced: number) => Math.min(4, Math.floor(Math.max(0, replaced) * 5));

function recordedFor(text: string): Scored | null {
  const found = SENTENCES.find((sentence) => sentence.text === text);
  return found ? { text, tokens: found.tokens, isLive: false } : null;
}

export function tryIt(): HTMLElement {
  const field = fresh("sentence");
  const hint = fresh("hint");
  const reading = h("p", { class: "reading" });
  const verdict = h("p", { class: "verdict", "aria-live": "polite" });
  const origin = h("span", { class: "origin" });
  const proposals = h("div", { class: "proposals" });
  const problem = h("div", {});
  let asked = 0;
  let masked: Word | null = null;
  let shown: Scored | null = null;

  const input = h("textarea", { id: field, rows: 2, maxlength: TEXT_LIMIT, spellcheck: "false", "aria-describedby": hint, lang: "en", input: () => typed() });
  input.value = textOf(route().state);

  function typed(): void {
    masked = null;
    replace(proposals);
    set({ text: input.value });
    clearTimeout(timer);
    timer = window.setTimeout(() => void score(), 120);
  }
  let timer = 0;

  async function score(): Promise<void> {
    const text = input.value;
    asked += 1;
    const mine = asked;
    replace(problem);
    if (text.trim() === "") {
      shown = null;
      replace(reading, h("span", { class: "quiet" }, t().try.empty));
      verdict.textContent = "";
      return;
    }
    const before = recordedFor(text);
    if (before && !(shown?.isLive && shown.text === text)) paint(before);
    if (!networks.discriminator) return;
    try {
      const { tokens } = await engine.score({ model: networks.discriminator.model, text });
      // The reader has typed on meanwhile.
      if (mine === asked) paint({ text, tokens, isLive: true });
    } catch (error) {
      if (mine === asked) replace(problem, alarm(error), button(t().common.retry, () => void score()));
    }
  }

  function paint(scored: Scored): void {
    shown = scored;
    const words = wordsOf(scored.text, scored.tokens);
    const nodes: (Node | string)[] = [];
    let at = 0;
    for (const word of words) {
      nodes.push(scored.text.slice(at, word.start), wordButton(word));
      at = word.end;
    }
    nodes.push(scored.text.slice(at));
    replace(reading, ...nodes);
    origin.textContent = scored.isLive ? t().common.live : t().common.recorded;
    origin.title = scored.isLive ? "" : t().common.recordedNote;
    reading.dataset["live"] = String(scored.isLive);
    const worst = words.reduce<Word | null>((most, word) => (word.replaced > (most?.replaced ?? 0) ? word : most), null);
    verdict.textContent = worst ? t().try.suspects(worst.text, Math.round(worst.replaced * 100)) : "";
  }

  function wordButton(word: Word): HTMLElement {
    const percent = Math.round(word.replaced * 100);
    const isMasked = masked !== null && masked.start === word.start;
    return h(
      "button",
      { type: "button", class: `word level-${levelOf(word.replaced)}${isMasked ? " masked" : ""}${word.text.length === 1 ? " single" : ""}`, "aria-label": t().try.word(word.text, percent), "aria-pressed": String(isMasked), click: () => void propose(word) },
      word.text,
      h("span", { class: "share", "aria-hidden": "true" }, `${percent}`),
    );
  }

  async function propose(word: Word): Promise<void> {
    if (!networks.generator || !shown) return;
    masked = word;
    const { text } = shown;
    paint(shown);
    reading.querySelector<HTMLElement>(".masked")?.focus();
    asked += 1;
    const mine = asked;
    try {
      const answer = await engine.propose({ model: networks.generator.model, text, position: word.position, top: 5 });
      if (mine === asked) offer(word, text, answer.proposals);
    } catch (error) {
      if (mine === asked) replace(problem, alarm(error));
    }
  }

  function offer(word: Word, text: string, all: readonly Proposal[]): void {
    const high = Math.max(...all.map(({ probability }) => probability), 1e-9);
    const one = ({ token, probability }: Proposal) => {
      const meter = h("meter", { min: 0, max: high, "aria-hidden": "true" });
      meter.value = probability;
      const isOriginal = token === word.text.toLowerCase();
      return h("li", {}, button(token, () => take(word, text, token)), meter, h("span", { class: "value" }, t().common.percent(probability)), isOriginal && h("span", { class: "quiet" }, t().try.original));
    };
    replace(proposals, h("h2", { class: "small" }, t().try.proposals(word.text)), h("ol", {}, ...all.map(one)), h("p", { class: "quiet" }, t().try.proposalsHelp));
  }

  function take(word: Word, text: string, token: string): void {
    const isPiece = token.startsWith("##");
    input.value = `${isPiece ? text.slice(0, word.start).trimEnd() : text.slice(0, word.start)}${isPiece ? token.slice(2) : token}${text.slice(word.end)}`;
    typed();
    input.focus();
  }

  function follow(): void {
    if (!root.isConnected || route().section !== "try") return;
    const text = textOf(route().state);
    if (route().state.text !== "" && text !== input.value) {
      input.value = text;
      void score();
    }
  }

  const examples = SENTENCES.map(({ text }) =>
    h("li", {}, button(text, () => {
      input.value = text;
      typed();
    }, { class: "plain", lang: "en" })),
  );
  const root = h(
    "div",
    {},
    h("h1", {}, t().try.title),
    h("p", { class: "lead" }, t().try.lead),
    h("div", { class: "field" }, h("label", { for: field }, t().try.field), input, h("p", { id: hint, class: "quiet" }, t().try.hint)),
    h("figure", { class: "stage" }, h("figcaption", {}, h("span", {}, t().try.figure), origin), reading, verdict, proposals, problem, h("p", { class: "quiet" }, t().try.help)),
    h("details", {}, h("summary", {}, t().try.examples), h("ul", { class: "examples" }, ...examples)),
    h("p", {}, h("a", { href: "#learn/tokens", class: "onward" }, t().try.next, " →")),
  );
  void score();
  void begin().then(() => {
    if (networks.discriminator) void score();
  });
  let stage = chip.stage;
  onChange(() => {
    // A model that has arrived reads the sentence that waits for it.
    if (chip.stage !== stage && root.isConnected) void score();
    stage = chip.stage;
  });
  addEventListener("hashchange", follow);
  return root;
}

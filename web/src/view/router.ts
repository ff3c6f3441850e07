// Where the reader is, in the address: `#learn/mask?rate=30&seed=2`. What is as it is by default is left out, so that addresses stay short.

export const SECTIONS = ["try", "learn", "finetune", "pretrain", "about"] as const;
export type Section = (typeof SECTIONS)[number];

export const CHAPTERS = ["tokens", "mask", "generator", "replace", "discriminator", "loss", "all-tokens", "generator-size", "training", "race", "paper"] as const;
export type Chapter = (typeof CHAPTERS)[number];

export interface State {
  text: string;
  /** Share of masked tokens in per cent. */
  rate: number;
  seed: number;
  temperature: number;
  threshold: number;
  /** Weight of the discriminator's loss. */
  lambda: number;
  layer: number;
  head: number;
  objective: "mlm" | "rtd";
  algorithm: "joint" | "two_stage" | "adversarial";
  scale: "log" | "linear";
  /** Draws that the reader chose, as `position.id` with commas. */
  chosen: string;
}

export const DEFAULTS: State = {
  text: "",
  rate: 15,
  seed: 1,
  temperature: 1,
  threshold: 0.5,
  lambda: 50,
  layer: 0,
  head: 0,
  objective: "mlm",
  algorithm: "joint",
  scale: "log",
  chosen: "",
};

const NUMBERS: Record<string, readonly [number, number]> = {
  rate: [5, 50],
  seed: [0, 999_999],
  temperature: [0.1, 3],
  threshold: [0.05, 0.95],
  lambda: [0, 100],
  layer: [0, 47],
  head: [0, 63],
};

const WORDS: Record<string, readonly string[]> = {
  objective: ["mlm", "rtd"],
  algorithm: ["joint", "two_stage", "adversarial"],
  scale: ["log", "linear"],
};

/** Characters of a text in an address, and in the fields that fill it. */
export const TEXT_LIMIT = 400;

export interface Route {
  section: Section;
  chapter: Chapter;
  state: State;
}

/** Whatever the address says, a route that can be shown: unknown names and numbers out of range fall back. */
export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const [first = "", second = ""] = path.split("/");
  const section = SECTIONS.find((name) => name === first) ?? "try";
  const chapter = CHAPTERS.find((name) => name === second) ?? "tokens";
  const state: Record<string, string | number> = { ...DEFAULTS };
  for (const [key, value] of new URLSearchParams(query)) {
    const range = NUMBERS[key];
    const parsed = Number(value);
    if (range) {
      if (value !== "" && Number.isFinite(parsed)) state[key] = Math.min(range[1], Math.max(range[0], parsed));
    } else if (WORDS[key]?.includes(value)) state[key] = value;
    else if (key === "text") state[key] = value.slice(0, TEXT_LIMIT);
    else if (key === "chosen" && /^\d{1,4}\.\d{1,6}(,\d{1,4}\.\d{1,6})*$/.test(value)) state[key] = value;
  }
  for (const key of ["rate", "seed", "layer", "head"]) state[key] = Math.round(state[key] as number);
  return { section, chapter, state: state as unknown as State };
}

export function format({ section, chapter, state }: Route): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) if (value !== DEFAULTS[key as keyof State]) query.set(key, String(value));
  const path = section === "learn" ? `learn/${chapter}` : section;
  const text = query.toString();
  return text ? `#${path}?${text}` : `#${path}`;
}

export function parseChosen(chosen: string): Record<number, number> {
  return Object.fromEntries(chosen.split(",").filter(Boolean).map((pair) => pair.split(".").map(Number) as [number, number]));
}

export const formatChosen = (chosen: Record<number, number>) => Object.entries(chosen).map(([position, id]) => `${position}.${id}`).join(",");

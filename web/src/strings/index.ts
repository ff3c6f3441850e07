// Which language the page speaks: the reader's choice, else the browser's.
import { en, type Strings } from "./en";
import { zh } from "./zh";

export const LANGUAGES = { en: "English", zh: "简体中文" } as const;
export type Language = keyof typeof LANGUAGES;
export type { Strings };

const TABLES: Record<Language, Strings> = { en, zh };

export function preferred(stored: string | null, languages: readonly string[]): Language {
  if (stored === "en" || stored === "zh") return stored;
  // The first that is either: a reader of French who also lists English gets English.
  return languages.map((language) => language.slice(0, 2).toLowerCase()).find((code): code is Language => code === "en" || code === "zh") ?? "en";
}

let now: Language = "en";

export const language = (): Language => now;
export const t = (): Strings => TABLES[now];

export function speak(next: Language): void {
  now = next;
  document.documentElement.lang = next === "zh" ? "zh-Hans" : "en";
}

/** A number for people: few digits, no exponent. */
export function digits(value: number, places = 2): string {
  return value.toFixed(places);
}

export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  if (size < 1_000_000) return `${(size / 1000).toFixed(0)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}

// The page: header, one section at a time, and a footer. Only this file knows all sections.
import "./style.css";
import { LANGUAGES, language, preferred, speak, t, type Language } from "./strings";
import { about } from "./sections/about";
import { finetune } from "./sections/finetune";
import { learn } from "./sections/learn";
import { pretrain } from "./sections/pretrain";
import { tryIt } from "./sections/try";
import { begin, chip, onChange, remember, remembered, route } from "./view/app";
import { choice, focusOn, h, replace } from "./view/dom";
import { SECTIONS, type Section } from "./view/router";

const BUILD: Record<Section, () => HTMLElement> = { try: tryIt, learn, finetune, pretrain, about };

/** Sections that were looked at, kept as they are: a training goes on while the reader is elsewhere. */
let built: Partial<Record<Section, HTMLElement>> = {};
let shown: Section | undefined;
const main = h("main", { id: "main" });

function show(): void {
  const { section } = route();
  if (section === shown) return;
  built[section] ??= BUILD[section]();
  replace(main, built[section]);
  document.title = section === "try" ? t().name : `${t().sections[section]} · ${t().name}`;
  for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a[data-section]")) {
    if (link.dataset["section"] === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // A reader of the screen hears where the page has gone; the first time it begins at the top anyway.
  if (shown !== undefined) {
    scrollTo(0, 0);
    const title = main.querySelector("h1");
    if (title) focusOn(title);
  }
  shown = section;
}

function theme(value: string): void {
  if (value === "light" || value === "dark") document.documentElement.dataset["theme"] = value;
  else delete document.documentElement.dataset["theme"];
}

function status(): HTMLElement {
  const says = h("span", {});
  const why = h("span", { class: "why" });
  const element = h("p", { class: "chip", role: "status" }, says, why);
  const tell = () => {
    const { stage, percent, status: now, detail } = chip;
    const words = t().status;
    element.dataset["stage"] = stage;
    if (now) element.dataset["backend"] = now.backend;
    const running = now ? words[now.backend] : words.starting;
    says.textContent = { starting: words.starting, loading: words.loading(percent), compiling: words.compiling, ready: running, noModel: `${words.noModel}. ${running}`, failed: words.failed }[stage];
    const reason = stage === "failed" || stage === "noModel" ? detail : now?.why ? t().why[now.why.key] : "";
    const again = chip.restarted ? words.restarted : "";
    why.textContent = [reason, again].filter(Boolean).join(" ");
    element.title = [now?.device, why.textContent].filter(Boolean).join(" · ");
  };
  onChange(tell);
  tell();
  return element;
}

function header(): HTMLElement {
  const links = SECTIONS.map((section) => h("a", { href: `#${section}`, "data-section": section }, t().sections[section]));
  const languages = choice(t().language, Object.entries(LANGUAGES), language(), (value) => {
    remember("language", value);
    speak(value as Language);
    draw();
  });
  const themes = choice(t().theme.label, [["system", t().theme.system], ["light", t().theme.light], ["dark", t().theme.dark]], remembered("theme") ?? "system", (value) => {
    remember("theme", value);
    theme(value);
  });
  return h("header", {}, h("div", { class: "top" }, h("a", { class: "name", href: "#try" }, t().name), h("nav", { "aria-label": t().menu }, ...links), h("div", { class: "wishes" }, languages, themes)), status());
}

function draw(): void {
  built = {};
  shown = undefined;
  const skip = h("a", { class: "skip", href: "#main" }, t().skip);
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    focusOn(main);
  });
  replace(document.body, skip, header(), main, h("footer", {}, h("p", {}, t().footer)));
  show();
}

speak(preferred(remembered("language"), navigator.languages));
theme(remembered("theme") ?? "system");
draw();
addEventListener("hashchange", show);
void begin();

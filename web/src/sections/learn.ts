// "How it works": one chapter at a time. What is to be predicted is hidden until the reader has answered, or asks to be shown.
import { CHAPTER_FIGURES, type Shown } from "../chapters";
import { ANSWERS } from "../chapters/answers";
import { sourcesOf } from "../chapters/sources";
import { t } from "../strings";
import { go, onChange, route, set, textOf } from "../view/app";
import { button, focusOn, fresh, h, replace } from "../view/dom";
import { CHAPTERS, TEXT_LIMIT, type Chapter, type State } from "../view/router";

/** Chapters whose figure has been revealed, in this visit. */
const revealed = new Set<Chapter>();
/** Chapters that show a sentence of the reader's. */
const ON_A_SENTENCE: ReadonlySet<Chapter> = new Set<Chapter>(["tokens", "mask", "generator", "replace", "discriminator", "loss", "all-tokens"]);

export function learn(): HTMLElement {
  const place = h("div", { class: "chapter" });
  const list = h("ol", { class: "chapters" });
  let chapter: Chapter | undefined;
  let state: State | undefined;
  let figure: Shown | undefined;

  function follow(): void {
    const now = route();
    if (now.section !== "learn") return;
    const isNew = now.chapter !== chapter;
    const isFirst = chapter === undefined;
    const before = state;
    [chapter, state] = [now.chapter, now.state];
    if (isNew) {
      draw(now.chapter);
      if (!isFirst) {
        const title = place.querySelector("h2");
        if (title) focusOn(title);
        root.scrollIntoView({ block: "start" });
      }
    } else if (JSON.stringify(before) !== JSON.stringify(state)) figure?.update(state);
  }

  function draw(name: Chapter): void {
    const words = t().learn.steps[name];
    const at = CHAPTERS.indexOf(name);
    replace(list, ...CHAPTERS.map((other) => h("li", {}, h("a", { href: `#learn/${other}`, "aria-current": other === name ? "step" : null }, t().learn.steps[other].title))));
    // The links keep the reader's sentence and settings.
    list.querySelectorAll("a").forEach((link, index) =>
      link.addEventListener("click", (event) => {
        event.preventDefault();
        go({ chapter: CHAPTERS[index] ?? name });
      }),
    );
    const stage = h("div", { class: "stage-of" });
    const previous = CHAPTERS[at - 1];
    const next = CHAPTERS[at + 1];
    figure = undefined;
    replace(
      place,
      h("p", { class: "quiet count" }, t().learn.position(at + 1, CHAPTERS.length)),
      h("h2", {}, words.title),
      h("p", { class: "lead" }, words.text),
      question(name, () => reveal(name, stage)),
      stage,
      sourcesOf(name),
      h(
        "div",
        { class: "steps" },
        previous ? button(`← ${t().learn.previous}`, () => go({ chapter: previous })) : h("span", {}),
        h("span", { class: "quiet" }, t().learn.arrows),
        next ? button(`${t().learn.next} →`, () => go({ chapter: next }), { class: "primary" }) : h("a", { href: "#finetune", class: "onward" }, t().sections.finetune, " →"),
      ),
    );
    if (revealed.has(name)) reveal(name, stage);
  }

  function reveal(name: Chapter, stage: HTMLElement): void {
    revealed.add(name);
    place.querySelector(".show")?.remove();
    if (figure) return;
    figure = CHAPTER_FIGURES[name]();
    replace(stage, ON_A_SENTENCE.has(name) ? sentence() : null, figure.element);
    figure.update(route().state);
  }

  function keys(event: KeyboardEvent): void {
    if (route().section !== "learn" || event.altKey || event.ctrlKey || event.metaKey) return;
    // Where arrows have a meaning of their own they keep it.
    if ((event.target as Element).closest("input, select, textarea, [role=region], pre")) return;
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const next = CHAPTERS[CHAPTERS.indexOf(route().chapter) + step];
    if (step === 0 || !next) return;
    event.preventDefault();
    go({ chapter: next });
  }

  const root = h("div", {}, h("h1", {}, t().learn.title), h("p", { class: "quiet" }, t().learn.lead), h("div", { class: "book" }, h("nav", { "aria-label": t().learn.chapters }, h("details", { class: "contents", open: innerWidth > 700 }, h("summary", {}, t().learn.chapters), list)), place));
  follow();
  addEventListener("hashchange", follow);
  addEventListener("keydown", keys);
  onChange(() => figure?.update(route().state));
  return root;
}

function question(name: Chapter, reveal: () => void): HTMLElement {
  const { ask, choices, why } = t().learn.steps[name];
  const id = fresh("question");
  const verdict = h("p", { class: "verdict", "aria-live": "polite" });
  const right = ANSWERS[name];
  const answer = (index: number) => {
    replace(verdict, h("strong", {}, index === right ? t().learn.right : t().learn.wrong), ` ${why}`);
    [...group.children].forEach((child, at) => {
      child.setAttribute("aria-pressed", String(at === index));
      child.classList.toggle("right", at === right);
    });
    reveal();
  };
  const group = h("div", { class: "choices", role: "group", "aria-labelledby": id }, ...choices.map((choice, index) => button(choice, () => answer(index), { "aria-pressed": "false" })));
  return h(
    "div",
    { class: "question" },
    h("p", { id }, h("span", { class: "quiet" }, t().learn.ask), " ", ask),
    group,
    verdict,
    button(t().learn.show, () => reveal(), { class: "plain show", hidden: revealed.has(name) }),
  );
}

function sentence(): HTMLElement {
  const id = fresh("sentence");
  const input = h("input", {
    id,
    type: "text",
    maxlength: TEXT_LIMIT,
    spellcheck: "false",
    lang: "en",
    value: textOf(route().state),
    // A choice of words belongs to the sentence that it was made for.
    change: (event: Event) => set({ text: (event.currentTarget as HTMLInputElement).value.trim(), chosen: "" }),
  });
  return h("div", { class: "field" }, h("label", { for: id }, t().common.sentence), input);
}

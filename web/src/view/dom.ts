// Elements without a framework: a function that makes one, and nothing that takes markup as text.
// What a user typed only ever becomes a text node, so that it cannot become an element.

export type Child = Node | string | number | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: never) => void);

const SVG = "http://www.w3.org/2000/svg";

function fill<E extends Element>(element: E, properties: Record<string, Value>, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "open") Reflect.set(element, name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** An element with attributes (functions are listeners by the event's name) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, properties: Record<string, Value> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  // Options must stand in a select before its value can be set.
  const { value, ...rest } = properties;
  const element = fill(document.createElement(tag), tag === "select" ? rest : properties, children);
  if (tag === "select" && value !== undefined) Reflect.set(element, "value", value);
  return element;
}

/** The same for pictures. */
export function s<K extends keyof SVGElementTagNameMap>(tag: K, properties: Record<string, Value> = {}, ...children: Child[]): SVGElementTagNameMap[K] {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

let count = 0;
/** An id that no other element has, to tie a label to its field. */
export const fresh = (stem: string) => `${stem}-${(count += 1)}`;

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  fill(parent, {}, children);
}

export const button = (label: string, press: () => void, properties: Record<string, Value> = {}) => h("button", { type: "button", click: press, ...properties }, label);

/** A slider with its name and its value in words beside it. */
export function slider(label: string, range: { min: number; max: number; step: number; value: number }, words: (value: number) => string, change: (value: number) => void): HTMLElement {
  const id = fresh("slider");
  const said = h("output", { for: id }, words(range.value));
  const tell = (input: HTMLInputElement) => {
    said.textContent = words(input.valueAsNumber);
    input.setAttribute("aria-valuetext", words(input.valueAsNumber));
  };
  const input = h("input", {
    id,
    type: "range",
    ...range,
    "aria-valuetext": words(range.value),
    input: (event: Event) => tell(event.currentTarget as HTMLInputElement),
    change: (event: Event) => change((event.currentTarget as HTMLInputElement).valueAsNumber),
  });
  input.value = String(range.value);
  return h("div", { class: "control" }, h("label", { for: id }, label), input, said);
}

export function choice(label: string, options: readonly (readonly [string, string])[], value: string, change: (value: string) => void): HTMLElement {
  const id = fresh("choice");
  return h(
    "div",
    { class: "control" },
    h("label", { for: id }, label),
    h("select", { id, value, change: (event: Event) => change((event.currentTarget as HTMLSelectElement).value) }, ...options.map(([key, name]) => h("option", { value: key }, name))),
  );
}

/** A number to type, kept within its range. */
export function number(label: string, range: { min: number; max: number; step?: number; value: number }, change: (value: number) => void): HTMLElement {
  const id = fresh("number");
  const set = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    const value = Math.min(range.max, Math.max(range.min, Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : range.value));
    input.value = String(value);
    change(value);
  };
  return h("div", { class: "control" }, h("label", { for: id }, label), h("input", { id, type: "number", ...range, change: set }));
}

/** Moves the focus to something that is no control, as after a change of section. */
export function focusOn(element: HTMLElement): void {
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

// Elements made by hand: whatever comes from outside becomes text, never markup.

import { locale, t } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes, `on…` listeners, `class`; children are elements, text, or null for nothing. */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);

/** `columns`: [title, cell of a row, "number" or ""]. On a phone each row is a card whose cells bear their titles. */
export function table(columns, rows, empty = t("nothing")) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const head = columns.map(([title, , kind]) => h("th", { scope: "col", class: kind || null }, title));
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      columns.map(([title, cell, kind]) => h(
        "td",
        { class: kind || null, "data-title": title },
        h("span", {}, cell(row)),
      )),
    ),
  );
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

export function panel(title, { hint = null, actions = [], id = null } = {}, ...children) {
  const head = h(
    "div",
    { class: "panel-head" },
    h("div", {}, h("h2", {}, title), hint && h("p", { class: "hint" }, hint)),
    h("div", { class: "actions" }, actions || []),
  );
  return h("section", { class: "panel", id }, head, ...children);
}

/** What a token's scopes do not allow, said as such. */
export function locked(scope) {
  return h(
    "div",
    { class: "locked" },
    lock(),
    h("div", {}, h("strong", {}, t("locked")), h("p", {}, t("needsScope"), " ", h("code", {}, scope))),
  );
}

function lock() {
  const draw = { fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round" };
  return svg(
    "svg",
    { viewBox: "0 0 24 24", width: 22, height: 22, "aria-hidden": "true" },
    svg("rect", { x: 5, y: 11, width: 14, height: 9, rx: 2.5, ...draw }),
    svg("path", { d: "M8 11V8a4 4 0 0 1 8 0v3", ...draw }),
  );
}

export function failure(error) {
  return h("div", { class: "failure", role: "alert" }, h("strong", {}, t("failed")), h("p", {}, error.message));
}

export function loading() {
  return h(
    "div",
    { class: "loading", role: "status" },
    h("span", { class: "spinner", "aria-hidden": "true" }),
    t("loading"),
  );
}

/** Puts what a promise brings into a place: a wheel before it, an error in its stead. Later fills win. */
export async function fill(place, promise, show) {
  const turn = (place.turn = (place.turn || 0) + 1);
  if (!place.hasChildNodes()) place.replaceChildren(loading());
  place.setAttribute("aria-busy", "true");
  let content;
  try {
    content = show(await promise);
  } catch (error) {
    content = error.scope ? locked(error.scope) : failure(error);
  }
  if (place.turn !== turn) return;
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  place.removeAttribute("aria-busy");
  place.replaceChildren(...[content].flat(Infinity).filter(Boolean));
  if (focused) keepFocus(place, focused.getAttribute("aria-label"));
}

/** Who was on a button goes on from the one that took its place, or from the beginning, and not from nowhere. */
function keepFocus(place, label) {
  const same = [...place.querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === label);
  (same || document.querySelector("h1")).focus({ preventScroll: true });
}

let count = 0;

/** A labelled control; `hint` is read with it. */
export function field(label, control, hint = null) {
  const id = `field-${++count}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    control,
    hint && h("small", { id: `${id}-hint` }, hint),
  );
}

export const select = (name, options, value) =>
  h("select", { name }, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));

export function notice(text, kind = "good") {
  const one = h("div", { class: `notice ${kind}` }, text);
  document.getElementById("notices").append(one);
  setTimeout(() => one.remove(), 6000);
}

/** Asks for a reason, then does it; the dialog stays open with what went wrong. Focus goes back to where it was.
 * `document`: a text to be edited first, which `act` is told after the reason.
 */
export function askReason({ title, text, action, reason = "needed", danger = false, document: paper = null }, act) {
  const edited = h("textarea", { name: "document", rows: 14, maxlength: 20_000, required: true, spellcheck: "false", class: "mono" });
  edited.value = paper || "";
  const why = h("textarea", { name: "why", rows: 3, maxlength: 500, required: reason === "needed" });
  const asked = reason === "none" ? null : field(reason === "needed" ? t("why") : t("whyOptional"), why, t("whyHint"));
  const wrong = h("div", {});
  const submit = h("button", { class: danger ? "danger" : "primary", type: "submit" }, action);
  const close = () => dialog.close();
  const form = h(
    "form",
    { method: "dialog", onsubmit: send },
    h("h2", { id: "dialog-title" }, title),
    h("p", {}, text),
    paper !== null && field(t("document"), edited),
    asked,
    wrong,
    h("div", { class: "buttons" }, h("button", { type: "button", onclick: close }, t("cancel")), submit),
  );
  const dialog = h("dialog", { class: paper === null ? null : "roomy", "aria-labelledby": "dialog-title", onclose: () => dialog.remove() }, form);
  async function send(event) {
    event.preventDefault();
    submit.disabled = true;
    try {
      await act(why.value.trim(), edited.value);
      close();
    } catch (error) {
      wrong.replaceChildren(failure(error));
      wrong.scrollIntoView({ block: "nearest" });
    } finally {
      submit.disabled = false;
    }
  }
  document.body.append(dialog);
  dialog.showModal();
  (paper !== null ? edited : asked ? why : submit).focus();
}

export const number = (value, digits = 0) =>
  value === null || value === undefined ? "–" : new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
export const percent = (value, digits = 1) =>
  value === null || value === undefined ? "–" : new Intl.NumberFormat(
    locale(),
    { style: "percent", maximumFractionDigits: digits },
  ).format(value);
export const moment = (text) =>
  text ? new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(text)) : "–";
export const day = (text) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeZone: "UTC" }).format(new Date(`${text}T00:00Z`));

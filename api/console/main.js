// The frame around the views: who is signed in, where we are, in which language and light.

import { audiences } from "./audiences.js";
import { hasToken, me, signIn, signOut } from "./api.js";
import { campaigns } from "./campaigns.js";
import { field, h, loading, svg } from "./dom.js";
import { exports } from "./exports.js";
import { snapshots } from "./snapshots.js";
import { stops } from "./stops.js";
import { language, setLanguage, t } from "./texts.js";
import { users } from "./users.js";

const VIEWS = { snapshots, users, audiences, campaigns, exports, stops };
const ICONS = {
  snapshots: "M4 7l8-4 8 4-8 4-8-4zm0 5l8 4 8-4M4 17l8 4 8-4",
  users: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20c.8-3.6 3.8-5.5 7.5-5.5s6.7 1.9 7.5 5.5",
  audiences: "M4 20V10m5 10V4m5 16v-8m5 8v-5",
  campaigns: "M4 10v4l3 .5L8.5 19H11l-1-4.200L19 18V6L7 9.5 4 10z",
  exports: "M12 4v11m-4-4l4 4 4-4M5 20h14",
  stops: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12",
};
const THEMES = ["auto", "light", "dark"];
const app = document.getElementById("app");

const icon = (name) =>
  svg(
    "svg",
    { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true" },
    svg(
      "path",
      { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round", "stroke-linejoin": "round" },
    ),
  );

const here = () => (location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "snapshots");

function theme(given = localStorage.getItem("recs-theme")) {
  const chosen = THEMES.includes(given) ? given : "auto";
  document.documentElement.dataset.theme = chosen;
  localStorage.setItem("recs-theme", chosen);
  return chosen;
}

function preferences() {
  const toLanguage = (event) => {
    setLanguage(event.target.value);
    draw();
    document.getElementById("language").focus();
  };
  const options = (all, chosen) => all.map(([key, text]) => h("option", { value: key, selected: key === chosen }, text));
  return h(
    "div",
    { class: "preferences" },
    h(
      "select",
      { id: "language", "aria-label": t("language"), onchange: toLanguage },
      options([["en", "English"], ["ru", "Русский"]], language()),
    ),
    h(
      "select",
      { id: "theme", "aria-label": t("theme"), onchange: (event) => theme(event.target.value) },
      options(THEMES.map((one) => [one, t(`theme_${one}`)]), theme()),
    ),
  );
}

const brand = () => h(
  "div",
  { class: "brand" },
  h("img", { src: "mark.svg", alt: "", width: 32, height: 32 }),
  h("span", {}, h("b", {}, "recs"), h("small", {}, t("console"))),
);

function drawSignIn(wrong = "") {
  const given = h(
    "textarea",
    { name: "token", rows: 4, spellcheck: "false", autocomplete: "off", autocapitalize: "off", placeholder: "eyJhbGciOi…" },
  );
  const told = h("p", { class: "wrong", role: "alert" }, wrong);
  const submit = async (event) => {
    event.preventDefault();
    told.textContent = "";
    try {
      await signIn(given.value);
      draw(true);
    } catch (error) {
      signOut();
      told.textContent = error.message;
      given.focus();
    }
  };
  given.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      given.form.requestSubmit();
    }
  });
  const form = h(
    "form",
    { class: "panel", onsubmit: submit },
    h("h1", {}, t("signIn")),
    h("p", { class: "hint" }, t("signInHint")),
    field(t("token"), given, t("tokenHint")),
    told,
    h("button", { class: "primary wide", type: "submit" }, t("signIn")),
  );
  app.className = "signing-in";
  app.replaceChildren(h("header", {}, brand(), preferences()), h("main", { id: "main", tabindex: -1 }, form));
  given.focus();
}

function account() {
  const leave = () => {
    signOut();
    drawSignIn();
  };
  const scopes = h(
    "details",
    { class: "scopes" },
    h("summary", {}, h("b", {}, me.client), h("small", {}, me.channel ? t(`channel_${me.channel}`) : t("anyChannel"))),
    h(
      "div",
      { class: "popover" },
      h("p", { class: "hint" }, t("allowed")),
      h("ul", {}, me.scopes.map((one) => h("li", {}, h("code", {}, one)))),
    ),
  );
  return h(
    "div",
    { class: "account" },
    scopes,
    hasToken() && h("button", { class: "quiet", type: "button", onclick: leave }, t("signOut")),
  );
}

function navigation() {
  const link = (name) => h(
    "a",
    { href: `#${name}`, "aria-current": here() === name ? "page" : null },
    icon(name),
    h("span", {}, t(name)),
  );
  return h("nav", { "aria-label": t("sections") }, Object.keys(VIEWS).map(link));
}

/** The whole page; `moves`: whether the focus goes to the view's beginning, as after following a link. */
function draw(moves = false) {
  document.documentElement.lang = language();
  document.getElementById("skip").textContent = t("skip");
  if (!me) return drawSignIn();
  const name = here();
  document.title = `${t(name)} · recs`;
  const title = h("h1", { tabindex: -1 }, t(name));
  const main = h(
    "main",
    { id: "main", tabindex: -1 },
    h("div", { class: "title" }, title, h("p", { class: "hint" }, t(`${name}Hint`))),
    VIEWS[name](),
  );
  app.className = "inside";
  app.replaceChildren(
    h("header", {}, brand(), h("div", { class: "tools" }, preferences(), account())),
    navigation(),
    main,
  );
  if (moves) title.focus({ preventScroll: true });
  return null;
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
addEventListener("hashchange", () => {
  scrollTo(0, 0);
  draw(true);
});
addEventListener("signed-out", () => drawSignIn(t("ended")));

theme();
document.documentElement.lang = language();
app.replaceChildren(loading());
if (hasToken()) signIn().then(() => draw(), (error) => drawSignIn(error.message));
else drawSignIn();

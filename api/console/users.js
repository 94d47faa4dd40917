// One user: what each channel would show now, with the reasons and what was left out, and who the user is.

import { call, may, me } from "./api.js";
import { badge, field, fill, h, locked, moment, number, panel, percent, select, table } from "./dom.js";
import { language, t } from "./texts.js";

const CHANNELS = ["mobile", "web", "crm"];
const READ = "recommendations:read";
const PROFILES = "profiles:read";
let last = null; // what was asked, so that another language asks it again

export function users() {
  if (!may(READ)) return locked(READ);
  const answers = h("div", { class: "columns" });
  const profile = h("div", {});
  const id = h(
    "input",
    { name: "user_id", inputmode: "numeric", pattern: "[0-9]{1,19}", required: true, autocomplete: "off", value: last?.user_id },
  );
  const channels = me.channel ? [me.channel] : CHANNELS;
  const options = [
    ...(channels.length > 1 ? [["all", t("channel_all")]] : []),
    ...channels.map((one) => [one, t(`channel_${one}`)]),
  ];
  const channel = select("channel", options, last?.channel || options[0][0]);
  const kind = select("kind", ["product", "offer"].map((one) => [one, t(`kind_${one}`)]), last?.kind || "product");
  const most = h("input", { name: "top_k", type: "number", min: 1, max: 20, value: last?.top_k || 5, required: true });
  const show = () => {
    const asked = last.channel === "all" ? channels : [last.channel];
    answers.replaceChildren(...asked.map((one) => column({ ...last, channel: one })));
    if (may(PROFILES)) {
      profile.replaceChildren();
      fill(profile, call(`users/${last.user_id}/profile`), person);
    } else profile.replaceChildren(panel(t("profile"), {}, locked(PROFILES)));
  };
  const ask = (event) => {
    event.preventDefault();
    last = { user_id: id.value, channel: channel.value, kind: kind.value, top_k: most.value };
    show();
  };
  if (last) show();
  const form = h(
    "form",
    { class: "panel form", onsubmit: ask },
    field(t("userId"), id),
    field(t("channel"), channel),
    field(t("kind"), kind),
    field(t("topK"), most),
    h("button", { class: "primary", type: "submit" }, t("ask")),
    h("p", { class: "hint" }, t("askHint")),
  );
  return [form, answers, profile];
}

function column(asked) {
  const content = h("div", {});
  const query = { ...asked, locale: language() };
  fill(content, call("recommendations", { query }), (told) => answer(told));
  return h(
    "section",
    { class: "panel answer", "data-channel": asked.channel },
    h("h2", {}, t(`channel_${asked.channel}`)),
    content,
  );
}

function answer(told) {
  const best = Math.max(...told.recommendations.map((one) => one.score || 0), 1e-9);
  const items = told.recommendations.map((one) =>
    h(
      "li",
      {},
      h(
        "div",
        { class: "item" },
        h("div", {}, h("strong", {}, one.product_name), h("code", {}, one.product_id)),
        h("b", { class: "score" }, percent(one.score, 2)),
      ),
      meter(one.score, best),
      h(
        "p",
        { class: "reasons" },
        one.tier !== told.tier && badge(t(`tier_${one.tier}`)),
        one.reasons.map((reason) => h("span", {}, reason.text)),
      ),
    ),
  );
  const head = h(
    "p",
    { class: "badges" },
    badge(`${t("tier")}: ${t(`tier_${told.tier}`)}`, told.tier === "personal" ? "good" : "warn"),
    told.snapshot_id && badge(told.snapshot_id),
    told.experiment && badge(`${told.experiment.name}: ${told.experiment.arm}`),
  );
  return [
    head,
    items.length ? h("ol", { class: "items" }, items) : h("p", { class: "empty" }, t("emptyAnswer")),
    explained(told),
  ];
}

function meter(score, best) {
  const bar = h("i", {});
  bar.style.width = `${Math.max(2, (100 * (score || 0)) / best)}%`;
  return h("div", { class: "meter", "aria-hidden": "true" }, bar);
}

function explained(told) {
  if (!may(PROFILES)) return locked(PROFILES);
  const content = h("div", {});
  const open = (event) => {
    if (event.target.open) fill(content, explanation(told), because);
  };
  return h("details", { ontoggle: open }, h("summary", {}, t("explain")), content);
}

/** Answers are logged behind the caller's back: an explanation is there a moment later. */
async function explanation(told) {
  for (let wait = 1000; ; wait *= 2) {
    try {
      return await call(`explanations/${told.rec_id}`, { query: { locale: language() } });
    } catch (error) {
      if (error.status !== 404) throw error;
      if (wait > 8000) throw new Error(t("notYet"));
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

function because(told) {
  const boosted = told.shown.filter((one) => one.boost || one.context_boost);
  const dropped = [
    [t("place"), (one) => number(one.listed_at), "number"],
    [t("item"), (one) => h("code", {}, one.item_id)],
    [t("why"), (one) => [one.why, " ", badge(one.rule)]],
  ];
  return [
    told.notes.length > 0 && h("ul", { class: "notes" }, told.notes.map((note) => h("li", {}, note))),
    boosted.map(
      (one) => h(
        "p",
        { class: "hint" },
        h("code", {}, one.item_id),
        ` ${t("boost")} (${number(one.boost + one.context_boost, 2)})`,
      ),
    ),
    h("h3", {}, t("dropped")),
    table(dropped, told.dropped, t("nothingDropped")),
  ];
}

function person(told) {
  const facts = Object.entries(told.attributes).filter(([, value]) => value !== null);
  const agreed = Object.entries(told.consents).map(([name, yes]) => badge(
    name === "profiling" ? t("profiling") : t(`channel_${name}`),
    yes ? "good" : "off",
  ));
  const row = (title, value) => h("div", {}, h("dt", {}, title), h("dd", {}, value));
  const events = [
    [t("when"), (one) => moment(one.at)],
    [t("what"), (one) => one.event_type],
    [t("item"), (one) => one.item_id || one.family || "–"],
    [t("channel"), (one) => (one.channel ? t(`channel_${one.channel}`) : "–")],
  ];
  return panel(
    `${t("profile")}: ${told.user_id}`,
    { hint: told.is_known ? null : t("unknownUser") },
    h(
      "dl",
      { class: "facts" },
      row(t("segment"), number(told.segment)),
      row(t("holdings"), told.holdings.length ? told.holdings.map((one) => badge(one.product_id)) : "–"),
      row(t("consents"), agreed),
      row(t("attributes"), facts.length ? facts.map(([name, value]) => badge(`${t(name)}: ${value}`)) : "–"),
    ),
    h("h3", {}, t("recent")),
    table(events, told.recent_events.slice(0, 20)),
  );
}

// What is proposed, campaigns or rules: one person proposes, another approves.

import { call, may, me } from "./api.js";
import { askReason, badge, day, fill, h, moment, notice, number, table } from "./dom.js";
import { t } from "./texts.js";

const COLOURS = { waiting: "warn", approved: "good", refused: "bad", replaced: "off", expired: "off" };

/** Each kind: where it is asked for, which scope that takes, and its words. */
export const CAMPAIGN = { path: "campaigns/proposals", scope: "campaigns:write", title: "proposeTitle", text: "proposeText" };
export const RULES = { path: "rules/proposals", scope: "rules:write", title: "proposeRules", text: "proposeRulesText" };

/** What waits and what was decided; `changed` is told when something else may hold now. */
export function proposals(kind, changed) {
  const place = h("div", { class: "stack" });
  const refresh = () => fill(place, call(kind.path, { scope: kind.scope }), (told) => listed(kind, told.proposals, after));
  const after = () => {
    refresh();
    changed();
  };
  refresh();
  return place;
}

/** A button that proposes another wording of a document; null where the token does not allow it. */
export function proposeButton(kind, document, changed, { name = "", label = t("proposeChange"), style = "secondary" } = {}) {
  if (!may(kind.scope)) return null;
  const act = () => editor(kind, document, changed);
  return h("button", { type: "button", class: style, onclick: act, "aria-label": name ? `${label}: ${name}` : null }, label);
}

function editor(kind, document, changed) {
  askReason({ title: t(kind.title), text: t(kind.text), action: t("propose"), document }, async (why, text) => {
    const told = await call(kind.path, { body: { document: text, why }, scope: kind.scope });
    notice(`${told.name}: ${t(`proposal_${told.state}`)}`);
    changed();
  });
}

function listed(kind, all, after) {
  const waiting = all.filter((one) => one.state === "waiting");
  const decided = all.filter((one) => one.state !== "waiting");
  return [
    waiting.length ? waiting.map((one) => card(kind, one, after)) : h("p", { class: "empty" }, t("noProposals")),
    decided.length > 0 && h("details", {}, h("summary", {}, t("decidedProposals")), history(decided)),
  ];
}

function card(kind, one, after) {
  const mine = one.asked.actor === me.client;
  const act = (verb, path, reason, danger) => () =>
    askReason({ title: `${t(verb)}: ${one.name}`, text: [t(`${verb}Text`), h("q", {}, one.asked.reason)], action: t(verb), reason, danger }, async (why) => {
      const told = await call(`${kind.path}/${one.id}/${path}`, { body: { why }, scope: kind.scope });
      notice(`${told.name}: ${t(`proposal_${told.state}`)}`);
      after();
    });
  const button = (verb, style, onclick) =>
    h("button", { type: "button", class: style, onclick, "aria-label": `${t(verb)}: ${one.name}` }, t(verb));
  const actions = mine
    ? [badge(t("waitsForOther"), "warn"), button("takeBack", "secondary", act("takeBack", "refuse", "needed", true))]
    : [button("approve", "primary", act("approve", "approve", "none", false)), button("refuse", "danger", act("refuse", "refuse", "needed", true))];
  return h(
    "article",
    { class: "panel card", "data-proposal": one.name },
    h(
      "div",
      { class: "card-head" },
      h("div", {}, h("h3", {}, one.name), h("p", { class: "hint" }, `${one.asked.actor} · ${moment(one.asked.at)}`), h("q", {}, one.asked.reason)),
      h("div", { class: "actions" }, actions),
    ),
    changes(one.changes),
    one.campaign && facts(one.campaign),
  );
}

const changes = (all) =>
  table(
    [
      [t("field"), (one) => h("code", {}, one.field)],
      [t("before"), (one) => one.before ?? "–"],
      [t("after"), (one) => one.after ?? "–"],
    ],
    all,
    t("noChanges"),
  );

function facts(one) {
  const fact = (title, value) => h("div", {}, h("dt", {}, title), h("dd", {}, value));
  return h(
    "dl",
    { class: "facts" },
    fact(t("days"), `${day(one.start)} ${t("until")} ${day(one.end)}`),
    fact(t("reach"), one.reach ? `${number(one.reach.audience)} · ${t("conflicts")}: ${number(one.reach.wanted_elsewhere)}` : t("notAssignedYet")),
    fact(t("rivals"), one.rivals.length ? one.rivals.map((name) => badge(name, "warn")) : t("noRivals")),
  );
}

const history = (all) =>
  table(
    [
      [t("what"), (one) => h("code", {}, one.name)],
      [t("state"), (one) => badge(t(`proposal_${one.state}`), COLOURS[one.state])],
      [t("proposedBy"), (one) => [`${one.asked.actor} · ${moment(one.asked.at)}`, h("q", {}, one.asked.reason)]],
      [t("decidedBy"), (one) => (one.decided ? [`${one.decided.actor} · ${moment(one.decided.at)}`, h("q", {}, one.decided.reason)] : "–")],
    ],
    all,
  );

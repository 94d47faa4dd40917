// Campaigns that are proposed: one person proposes, another approves.

import { call, may, me } from "./api.js";
import { askReason, badge, day, fill, h, locked, moment, notice, number, panel, table } from "./dom.js";
import { t } from "./texts.js";

const CAMPAIGNS = "campaigns:write";
const PATH = "campaigns/proposals";
const COLOURS = { waiting: "warn", approved: "good", refused: "bad", replaced: "off", expired: "off" };
const TEMPLATE = `name: new_campaign
families: [deposit]        # or product: deposit_12m
channel: crm
start: ${new Date().toISOString().slice(0, 10)}
end: ${new Date().getFullYear() + 1}-01-01            # the first day on which it runs no longer
budget: 1000               # contacts over all its days
control_share: 0.1
message: {en: "", ru: ""}
owner: crm
`;

/** The panel of what waits and what was decided; `changed` is told when a campaign may be another one now. */
export function proposals(changed) {
  if (!may(CAMPAIGNS)) return panel(t("proposals"), { hint: t("proposalsHint") }, locked(CAMPAIGNS));
  const place = h("div", { class: "stack" });
  const refresh = () => fill(place, call(PATH, { scope: CAMPAIGNS }), (told) => listed(told.proposals, after));
  const after = () => {
    refresh();
    changed();
  };
  refresh();
  const add = h("button", { type: "button", class: "primary", onclick: () => editor(TEMPLATE, after) }, t("proposeNew"));
  return panel(t("proposals"), { hint: t("proposalsHint"), actions: [add] }, place);
}

/** A button that proposes another wording of a campaign; null where the token does not allow it. */
export function proposeChange(one, changed) {
  if (!may(CAMPAIGNS)) return null;
  const act = () => editor(one.document, changed);
  return h("button", { type: "button", class: "secondary", onclick: act, "aria-label": `${t("proposeChange")}: ${one.name}` }, t("proposeChange"));
}

function editor(document, changed) {
  askReason({ title: t("proposeTitle"), text: t("proposeText"), action: t("propose"), document }, async (why, text) => {
    const told = await call(PATH, { body: { document: text, why }, scope: CAMPAIGNS });
    notice(`${told.name}: ${t(`proposal_${told.state}`)}`);
    changed();
  });
}

function listed(all, after) {
  const waiting = all.filter((one) => one.state === "waiting");
  const decided = all.filter((one) => one.state !== "waiting");
  return [
    waiting.length ? waiting.map((one) => card(one, after)) : h("p", { class: "empty" }, t("noProposals")),
    decided.length > 0 && h("details", {}, h("summary", {}, t("decidedProposals")), history(decided)),
  ];
}

function card(one, after) {
  const mine = one.asked.actor === me.client;
  const act = (verb, path, reason, danger) => () =>
    askReason({ title: `${t(verb)}: ${one.name}`, text: [t(`${verb}Text`), h("q", {}, one.asked.reason)], action: t(verb), reason, danger }, async (why) => {
      const told = await call(`${PATH}/${one.id}/${path}`, { body: { why }, scope: CAMPAIGNS });
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

// Campaigns: whom each reaches, what competes with what, and what is proposed.

import { call, may } from "./api.js";
import { badge, day, fill, h, locked, number, panel, percent } from "./dom.js";
import { CAMPAIGN, proposals, proposeButton } from "./proposals.js";
import { language, t } from "./texts.js";

const COLOURS = { runs: "good", to_come: "accent", over: "off", off: "off" };

export function campaigns() {
  const place = h("div", { class: "stack" });
  const proposed = h("div", {});
  const refresh = () => fill(
    place,
    call("campaigns", { scope: "lists:read" }),
    (told) => (told.campaigns.length ? told.campaigns.map((one) => card(one, proposeAgain)) : panel(t("nothing"))),
  );
  const proposeAgain = () => {
    proposed.replaceChildren(proposedPanel(refresh, proposeAgain));
    refresh();
  };
  proposeAgain();
  return [proposed, place];
}

function proposedPanel(refresh, again) {
  const actions = proposeButton(CAMPAIGN, template(), again, { label: t("proposeNew"), style: "primary" });
  const content = may(CAMPAIGN.scope) ? proposals(CAMPAIGN, refresh) : locked(CAMPAIGN.scope);
  return panel(t("proposals"), { hint: t("proposalsHint"), actions }, content);
}

const template = () => `name: new_campaign
families: [deposit]        # or product: deposit_12m
channel: crm
start: ${new Date().toISOString().slice(0, 10)}
end: ${new Date().getFullYear() + 1}-01-01            # the first day on which it runs no longer
budget: 1000               # contacts over all its days
control_share: 0.1
message: {en: "", ru: ""}
owner: crm
`;

function card(one, changed) {
  const badges = h(
    "div",
    { class: "badges" },
    badge(t(`campaign_${one.state}`), COLOURS[one.state]),
    badge(t(`channel_${one.channel}`)),
    badge(one.product || one.families.join(", ")),
  );
  const fact = (title, value) => h("div", {}, h("dt", {}, title), h("dd", {}, value));
  const names = (all) => all.map((name) => badge(name, "warn"));
  return h(
    "article",
    { class: "panel card" },
    h(
      "div",
      { class: "card-head" },
      h(
        "div",
        {},
        h("h2", {}, one.name),
        h("p", { class: "hint" }, `${day(one.start)} ${t("until")} ${day(one.end)} · ${one.owner}`),
        one.approved && h("p", { class: "hint" }, `${t("proposedBy")}: ${one.proposed.actor} · ${t("approvedBy")}: ${one.approved.actor}`),
      ),
      badges,
      proposeButton(CAMPAIGN, one.document, changed, { name: one.name }),
    ),
    h("blockquote", {}, one[`message_${language()}`]),
    reach(one),
    h(
      "dl",
      { class: "facts" },
      fact(t("budget"), number(one.budget)),
      fact(t("priority"), number(one.priority, 2)),
      fact(t("controlShare"), percent(one.control_share)),
      one.exclusive_with.length > 0 && fact(t("excludes"), names(one.exclusive_with)),
      fact(t("rivals"), one.rivals.length ? names(one.rivals) : t("noRivals")),
    ),
  );
}

function reach({ reach: told, budget }) {
  if (!told) return h("p", { class: "empty" }, t("notAssigned"));
  const figure = (title, value, more) => h(
    "div",
    { class: "figure" },
    h("dt", {}, title),
    h("dd", {}, h("strong", {}, value), more && h("small", {}, more)),
  );
  const ofAll = told.audience ? percent(told.wanted_elsewhere / told.audience) : null;
  const share = Math.min(1, Math.max(0, (budget - told.budget_left) / budget)); // the file may say another one since
  const used = h("i", {});
  used.style.width = `${100 * share}%`;
  return [
    h("p", { class: "hint" }, `${t("assignedFor")} ${day(told.day)} · ${told.snapshot_id}`),
    h(
      "dl",
      { class: "figures" },
      figure(t("reach"), number(told.audience)),
      figure(t("conflicts"), number(told.wanted_elsewhere), ofAll),
      figure(t("contacts"), number(told.contacts), `${t("control")}: ${number(told.held_out)}`),
      figure(t("expected"), `${number(told.value)} ₽`),
    ),
    h(
      "div",
      { class: "budget" },
      h("div", { class: "meter", "aria-hidden": "true" }, used),
      h("small", {}, `${t("budget")}: ${percent(share)} ${t("budgetUsed")}`),
    ),
  ];
}

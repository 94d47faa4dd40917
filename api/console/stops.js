// Stops: items that nobody is shown, and people whom nobody addresses.

import { call, may, me } from "./api.js";
import { askReason, badge, field, fill, h, locked, moment, notice, number, panel, select, table } from "./dom.js";
import { lifts } from "./lifts.js";
import { RULES as RULE_PROPOSALS, proposals, proposeButton } from "./proposals.js";
import { t } from "./texts.js";

const RULES = "rules:write";
const SUPPRESS = "suppressions:write";
const KINDS = ["complaint", "opt_out", "erasure_request", "other"];

export function stops() {
  return [
    panel(t("blocks"), { hint: t("blocksHint") }, may(RULES) ? blocks() : locked(RULES)),
    panel(t("rules"), { hint: t("rulesHint") }, may(RULES) ? rules() : locked(RULES)),
    panel(t("suppress"), { hint: t("suppressHint") }, may(SUPPRESS) ? [suppressions(), lifts()] : locked(SUPPRESS)),
  ];
}

function blocks() {
  const place = h("div", {});
  const refresh = () => fill(place, call("blocks"), (told) => blockTable(told, refresh));
  refresh();
  const item = h("input", { name: "item_id", required: true, maxlength: 200, autocomplete: "off" });
  const why = h("input", { name: "why", required: true, maxlength: 500 });
  const stop = async (event) => {
    event.preventDefault();
    await tried(wrong, async () => {
      await call("blocks", { body: { item_id: item.value.trim(), why: why.value.trim() }, scope: RULES });
      notice(`${item.value.trim()} ${t("blocked")}`);
      event.target.reset();
      refresh();
    });
  };
  const wrong = h("p", { class: "wrong", role: "alert" });
  const form = h(
    "form",
    { class: "form inline", onsubmit: stop },
    field(t("item"), item),
    field(t("why"), why),
    h("button", { class: "danger", type: "submit" }, t("block")),
    wrong,
  );
  return [form, place];
}

/** The rules that are served, and what is proposed in their place. */
function rules() {
  const served = h("div", {});
  const proposed = h("div", {});
  const refresh = () =>
    fill(served, call("rules", { scope: RULES }), (one) => h(
      "div",
      { class: "card-head inline" },
      h("p", {}, `${t("rulesVersion")} ${one.version} · ${one.actor} · ${moment(one.approved_at)}`),
      proposeButton(RULE_PROPOSALS, one.document, again, { name: t("rules") }),
    ));
  const again = () => {
    proposed.replaceChildren(proposals(RULE_PROPOSALS, refresh));
    refresh();
  };
  again();
  return [served, proposed];
}

function blockTable({ blocks: all, waiting }, refresh) {
  const asked = (item) => waiting.filter((one) => one.item_id === item);
  return table(
    [
      [t("item"), (one) => h("code", {}, one.item_id)],
      [t("since"), (one) => moment(one.at)],
      [t("who"), (one) => one.actor],
      [t("why"), (one) => one.why || "–"],
      ["", (one) => h("div", { class: "actions" }, ending(one, asked(one.item_id), refresh))],
    ],
    all,
    t("noBlocks"),
  );
}

/** To end a stop one asks, and somebody else agrees. */
function ending(one, asked, refresh) {
  const other = asked.filter((request) => request.actor !== me.client).at(-1);
  if (asked.length && !other) return badge(t("waitsForOther"), "warn");
  const verb = other ? "agree" : "unblock";
  const text = other ? [t("agreeText"), " ", h("q", {}, other.reason), ` (${other.actor})`] : t("unblockText");
  const act = () =>
    askReason({ title: `${t(verb)}: ${one.item_id}`, text, action: t(verb), reason: other ? "none" : "needed", danger: Boolean(other) }, async (why) => {
      const told = await call("blocks", { body: { item_id: one.item_id, blocked: false, why }, scope: RULES });
      notice(told.blocked ? t("askedFor") : `${one.item_id} ${t("unblocked")}`);
      refresh();
    });
  return h(
    "button",
    { type: "button", class: other ? "danger" : "secondary", onclick: act, "aria-label": `${t(verb)}: ${one.item_id}` },
    t(verb),
  );
}

function suppressions() {
  const ids = h("textarea", { name: "user_ids", rows: 2, required: true, autocomplete: "off" });
  const kind = select("kind", KINDS.map((one) => [one, t(`kind_${one}`)]), "complaint");
  const channels = me.channel ? [me.channel] : ["all", "mobile", "web", "crm"];
  const channel = select("channel", channels.map((one) => [one, t(`channel_${one}`)]), channels[0]);
  const product = h("input", { name: "product_id", maxlength: 128, placeholder: t("everything"), autocomplete: "off" });
  const reason = h("input", { name: "reason", maxlength: 500, required: true });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const send = (event) => {
    event.preventDefault();
    const body = { user_ids: ids.value.match(/[^\s,;]+/g) || [], kind: kind.value, channel: channel.value, reason: reason.value.trim() };
    if (product.value.trim()) body.product_id = product.value.trim();
    return tried(wrong, async () => {
      const told = await call("suppressions", { body, scope: SUPPRESS });
      notice(`${number(told.accepted)} ${t("suppressed")}`);
      event.target.reset();
    });
  };
  return h(
    "form",
    { class: "form", onsubmit: send },
    field(t("userIds"), ids, t("userIdsHint")),
    field(t("suppressKind"), kind),
    field(t("channel"), channel),
    field(t("about"), product),
    field(t("why"), reason),
    h("button", { class: "danger", type: "submit" }, t("suppressDo")),
    wrong,
  );
}

async function tried(wrong, act) {
  wrong.textContent = "";
  try {
    await act();
  } catch (error) {
    wrong.textContent = error.message;
  }
}

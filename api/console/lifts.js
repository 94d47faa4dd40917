// A user's suppressions: what holds, who asked for it, and how it is taken back.

import { call } from "./api.js";
import { askReason, badge, field, fill, h, moment, notice, number, table } from "./dom.js";
import { t } from "./texts.js";

const SUPPRESS = "suppressions:write";

/** Asks for a user, then shows theirs. */
export function lifts() {
  const id = h("input", { name: "user_id", required: true, inputmode: "numeric", pattern: "[0-9]{1,19}", autocomplete: "off" });
  const place = h("div", {});
  const look = (event) => {
    event?.preventDefault();
    const user = id.value.trim();
    const found = call("suppressions", { query: { user_id: user }, scope: SUPPRESS });
    return fill(place, found, (told) => listed(user, told.suppressions, look));
  };
  const button = h("button", { class: "secondary", type: "submit" }, t("look"));
  return [h("h3", {}, t("ofUser")), h("form", { class: "form inline", onsubmit: look }, field(t("userId"), id), button), place];
}

const listed = (user, all, refresh) =>
  table(
    [
      [t("since"), (one) => moment(one.accepted_at)],
      [t("suppressKind"), (one) => t(`kind_${one.kind}`)],
      [t("channel"), (one) => t(`channel_${one.channel}`)],
      [t("about"), (one) => one.product_id || one.family || t("everything")],
      [t("who"), (one) => [one.actor, one.reason && h("q", {}, one.reason)]],
      [t("state"), (one) => state(user, one, refresh)],
    ],
    [...all].reverse(),
    t("noSuppressions"),
  );

function state(user, one, refresh) {
  if (one.lift) return [badge(t("isLifted"), "good"), ` ${one.lift.actor} · ${moment(one.lift.at)}`, h("q", {}, one.lift.reason)];
  if (!one.in_force) return badge(t("isOver"), "off");
  if (one.kind === "erasure_request") return badge(t("holdsForGood"), "bad");
  const act = () =>
    askReason({ title: `${t("lift")}: ${user}`, text: t("liftText"), action: t("lift"), danger: true }, async (reason) => {
      const told = await call(`suppressions/${one.id}/lift`, { body: { reason, user_ids: [user] }, scope: SUPPRESS });
      notice(`${number(told.lifted)} ${t("lifted")}`);
      refresh();
    });
  return h("button", { type: "button", class: "danger", onclick: act, "aria-label": `${t("lift")}: ${moment(one.accepted_at)}` }, t("lift"));
}

// Exports: where each stands; followed while one is written.

import { call } from "./api.js";
import { askReason, badge, fill, h, moment, notice, number, panel, table } from "./dom.js";
import { t } from "./texts.js";

const WRITE = "exports:write";
const COLOURS = { asked: "warn", running: "accent", failed: "bad", written: "good", confirming: "accent", sent: "good", cancelled: "off" };
const FOLLOWED = ["asked", "running", "confirming"];
const FOLLOW_MS = 2000;

export function exports() {
  const place = h("div", {});
  const refresh = () =>
    fill(place, call("exports", { scope: WRITE, query: { most: 30 } }), (all) => {
      if (all.some((one) => FOLLOWED.includes(one.state))) setTimeout(() => place.isConnected && refresh(), FOLLOW_MS);
      return drawn(all, refresh);
    });
  refresh();
  const again = h("button", { type: "button", class: "quiet", onclick: refresh }, t("refresh"));
  return panel(t("exports"), { hint: t("live"), actions: [again] }, place);
}

function drawn(all, refresh) {
  return table(
    [
      [t("export"), (one) => [h("code", {}, one.export_id), h("code", { class: "path" }, one.uri)]],
      [
        t("state"),
        (one) => [
          badge(t(`step_${one.state}`), COLOURS[one.state]),
          one.state === "running" && h("progress", { "aria-label": t("step_running") }),
          one.why && h("small", { class: "wrong" }, one.why),
        ],
      ],
      [t("since"), (one) => moment(one.since)],
      [t("snapshot"), (one) => one.snapshot_id || "–"],
      [t("usersSoFar"), (one) => number(one.users), "number"],
      [t("listsCount"), (one) => number(one.lists), "number"],
      ["", (one) => h("div", { class: "actions" }, buttons(one, refresh))],
    ],
    all,
  );
}

function buttons(one, refresh) {
  const button = (key, kind, path, body) => {
    const asked = { title: t(key), text: t(`${key}Text`), action: t(key), reason: "none", danger: kind === "danger" };
    const act = async () => {
      const told = await call(`exports/${one.export_id}/${path}`, { body, method: "POST", scope: WRITE });
      notice(`${one.export_id}: ${t(`step_${told.state}`)}`);
      refresh();
    };
    return h(
      "button",
      { type: "button", class: kind === "danger" ? "quiet" : "secondary", onclick: () => askReason(asked, act), "aria-label": `${t(key)}: ${one.export_id}` },
      t(key),
    );
  };
  // One whose counting broke off goes on by the same confirmation.
  const canSend = ["written", "confirming"].includes(one.state);
  const canCancel = ["asked", "running", "written"].includes(one.state);
  return [
    canSend && button("confirmSent", "secondary", "sent", {}),
    canCancel && button("cancelExport", "danger", "cancel", null),
  ];
}

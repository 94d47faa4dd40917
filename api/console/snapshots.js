// Snapshots: the gate's verdicts, what is served, and how that is changed.

import { call, may, me } from "./api.js";
import { askReason, badge, day, fill, h, locked, moment, notice, number, panel, table } from "./dom.js";
import { t } from "./texts.js";

const WRITE = "snapshots:write";

export function snapshots() {
  const list = h("div", { class: "stack" });
  const history = h("div", {});
  const refresh = () => {
    fill(
      list,
      call("verdicts", { scope: "recommendations:read", query: { most: 20 } }),
      (told) => drawn(told, refresh),
    );
    if (may(WRITE)) fill(history, call("moves", { query: { most: 20 } }), (told) => moves(told.moves));
    else history.replaceChildren(locked(WRITE));
  };
  refresh();
  const again = h("button", { type: "button", class: "quiet", onclick: refresh }, t("refresh"));
  return [h("div", { class: "bar" }, again), list, panel(t("history"), { hint: t("historyHint") }, history)];
}

function drawn({ current, verdicts }, refresh) {
  const served = verdicts.find((one) => one.is_current);
  return [hero(current, served), ...verdicts.map((one) => card(one, current, served, refresh))];
}

function hero(current, served) {
  if (!current) return h("section", { class: "hero" }, h("p", {}, t("nothingServed")));
  const fact = (title, value) => h("div", {}, h("dt", {}, title), h("dd", {}, value));
  const rows = (name) => served?.tables[name]?.rows;
  return h(
    "section",
    { class: "hero", "aria-label": t("served") },
    h("div", {}, h("small", {}, t("served")), h("strong", { id: "current" }, current)),
    served && h(
      "dl",
      {},
      fact(t("made"), moment(served.made_at)),
      fact(t("peopleCount"), number(rows("user_state"))),
      fact(t("listsCount"), number(rows("lists"))),
    ),
  );
}

function card(one, current, served, refresh) {
  const failures = one.checks.filter((check) => !check.passed);
  const verdict = one.passed ? badge(`${t("gate")}: ${t("gatePassed")}`, "good") : badge(
    `${t("gate")}: ${t("gateFailed")} ${failures.length}`,
    "bad",
  );
  const head = h(
    "div",
    { class: "card-head" },
    h(
      "div",
      {},
      h("h2", {}, one.snapshot_id),
      h(
        "p",
        { class: "hint" },
        `${t("asOf")} ${day(one.as_of)} · ${number(one.tables.user_state?.rows)} ${t("peopleCount").toLowerCase()}`,
      ),
    ),
    h(
      "div",
      { class: "badges" },
      one.is_current && badge(t("served"), "accent"),
      verdict,
      badge(t(`state_${one.state}`)),
    ),
    h("div", { class: "actions" }, buttons(one, served, refresh)),
  );
  const why = failures.length ? h(
    "ul",
    { class: "failures" },
    failures.map(
      (check) => h(
        "li",
        {},
        h("b", {}, check.name),
        check.why ? ` · ${check.why}` : "",
        !check.overridable && badge(t("never"), "bad"),
      ),
    ),
  ) : null;
  const steps = one.overrides.length ? h(
    "ol",
    { class: "steps" },
    one.overrides.map((step) => h(
      "li",
      {},
      h("b", {}, step.actor),
      ` ${t(step.step)} · ${moment(step.at)}`,
      h("q", {}, step.reason),
    )),
  ) : null;
  const details = one.checks.length ? h(
    "details",
    {},
    h("summary", {}, `${t("showChecks")} (${one.checks.length})`),
    checks(one.checks),
  ) : null;
  return h(
    "article",
    { class: `panel card${one.is_current ? " current" : ""}`, "data-snapshot": one.snapshot_id },
    head,
    why,
    steps,
    details,
  );
}

function checks(all) {
  return table(
    [
      [t("check"), (check) => h("code", {}, check.name)],
      ["", (check) => (check.passed ? badge(t("ok"), "good") : badge(t("notOk"), "bad"))],
      [t("value"), (check) => number(check.value, 4), "number"],
      [t("limit"), (check) => number(check.limit, 4), "number"],
      [t("told"), (check) => check.why || "–"],
    ],
    all,
  );
}

function buttons(one, served, refresh) {
  const disabled = !may(WRITE);
  const title = disabled ? `${t("needsScope")} ${WRITE}` : null;
  const button = (text, kind, onclick) => h(
    "button",
    { type: "button", class: kind, disabled, title, onclick, "aria-label": `${text}: ${one.snapshot_id}` },
    text,
  );
  if (one.is_current) return null;
  if (!one.passed && !one.overrides.some((step) => step.step === "approved")) return overriding(one, button, refresh);
  if (one.state !== "verified") return null;
  const isBack = served && one.as_of <= served.as_of && one.snapshot_id < served.snapshot_id;
  const verb = isBack ? "rollback" : "publish";
  return button(t(verb), isBack ? "secondary" : "primary", () => move(one.snapshot_id, verb, refresh));
}

function overriding(one, button, refresh) {
  if (one.checks.some((check) => !check.passed && !check.overridable)) return null;
  const since = Date.now() - 24 * 3600 * 1000;
  const asked = one.overrides.filter((step) => step.step === "asked" && Date.parse(step.at) > since);
  const others = asked.filter((step) => step.actor !== me.client);
  if (others.length) return button(t("approve"), "danger", () => approve(one, others.at(-1), refresh));
  if (asked.length) return badge(t("waitsForOther"), "warn");
  return button(t("askOverride"), "secondary", () => ask(one, refresh));
}

function move(id, verb, refresh) {
  askReason({ title: `${t(`${verb}Title`)} ${id}`, text: t("moveText"), action: t(verb), reason: "optional", danger: verb === "rollback" }, async (why) => {
    await call(`snapshots/${id}/${verb}`, { body: { why }, scope: WRITE });
    await followed(id);
    notice(`${id} ${t("moved")}`);
    refresh();
  });
}

/** The service follows the pointer within a poll. */
async function followed(id) {
  for (let tries = 0; tries < 20; tries++) {
    if ((await call("snapshots", { scope: "recommendations:read" })).current === id) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function ask(one, refresh) {
  askReason({ title: t("askOverrideTitle"), text: t("askOverrideText"), action: t("askOverride"), danger: true }, async (why) => {
    await call(`snapshots/${one.snapshot_id}/override`, { body: { why }, scope: WRITE });
    notice(t("askedFor"));
    refresh();
  });
}

function approve(one, asked, refresh) {
  const text = [t("approveText"), " ", h("q", {}, asked.reason), ` (${asked.actor})`];
  askReason({ title: `${t("publishTitle")} ${one.snapshot_id}`, text, action: t("approve"), reason: "none", danger: true }, async () => {
    await call(`snapshots/${one.snapshot_id}/override/approve`, { method: "POST", scope: WRITE });
    await followed(one.snapshot_id);
    notice(`${one.snapshot_id} ${t("moved")}`);
    refresh();
  });
}

function moves(all) {
  return table(
    [
      [t("when"), (one) => moment(one.moved_at)],
      [t("what"), (one) => badge(t(`move_${one.action}`), one.action === "rollback" ? "warn" : "good")],
      [t("snapshot"), (one) => one.snapshot_id],
      [t("who"), (one) => one.actor],
      [t("why"), (one) => one.why || "–"],
    ],
    all,
  );
}
